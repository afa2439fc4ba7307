//! Budgets over the files of machines that we have met.

use std::collections::BTreeMap;

use super::*;

#[derive(Debug)]
struct Given(BTreeMap<&'static str, &'static str>);

impl Read for Given {
    fn read(&self, path: &Path) -> Option<String> {
        self.0.get(path.to_str()?).map(|text| (*text).to_owned())
    }
}

const HOST: (&str, &str) = ("/proc/meminfo", "MemTotal:       16384 kB\nMemFree: 1 kB\n");

fn given<const N: usize>(files: [(&'static str, &'static str); N]) -> Given {
    Given(BTreeMap::from_iter(files.into_iter().chain([HOST])))
}

fn both(files: &Given, cores: usize) -> (f64, u64) {
    let machine = Machine { cores, read: files };
    (cores_of(machine), memory_of(machine))
}

#[test]
fn a_bare_machine_gives_what_it_has() {
    assert_eq!(both(&given([]), 8), (8.0, 16 << 20));
}

#[test]
fn a_container_with_its_own_cgroup_namespace_is_bound_by_its_limits() {
    let files = given([
        ("/proc/self/cgroup", "0::/\n"),
        ("/sys/fs/cgroup/cpu.max", "50000 100000\n"),
        ("/sys/fs/cgroup/memory.max", "4194304\n"),
    ]);
    assert_eq!(both(&files, 64), (0.5, 4 << 20));
}

#[test]
fn the_tightest_level_of_nested_groups_binds() {
    let files = given([
        ("/proc/self/cgroup", "0::/kube.slice/pod1/c1\n"),
        ("/sys/fs/cgroup/kube.slice/pod1/c1/cpu.max", "max 100000\n"),
        ("/sys/fs/cgroup/kube.slice/pod1/cpu.max", "150000 100000\n"),
        ("/sys/fs/cgroup/kube.slice/pod1/c1/memory.max", "max\n"),
        ("/sys/fs/cgroup/kube.slice/pod1/c1/memory.high", "3145728\n"),
        ("/sys/fs/cgroup/kube.slice/memory.max", "8388608\n"),
    ]);
    assert_eq!(both(&files, 4), (1.5, 3 << 20));
}

#[test]
fn version_one_hierarchies_are_read_too() {
    let files = given([
        ("/proc/self/cgroup", "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n0::/docker/x\n"),
        // The host's path is not mounted inside of the container: only the roots are there.
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "2097152\n"),
        ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n"),
        ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
    ]);
    assert_eq!(both(&files, 16), (2.0, 2 << 20));
    let unlimited = given([
        ("/proc/self/cgroup", "4:memory:/\n3:cpu:/\n"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
        ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
    ]);
    assert_eq!(both(&unlimited, 16), (16.0, 16 << 20));
}

#[test]
fn nonsense_in_the_files_is_no_limit() {
    let files = given([
        ("/proc/self/cgroup", "\n::\nnonsense\n0::/../../etc\n"),
        ("/sys/fs/cgroup/cpu.max", "0 0\n"),
        ("/sys/fs/cgroup/memory.max", "0\n"),
    ]);
    assert_eq!(both(&files, 2), (2.0, 16 << 20));
}

#[test]
fn threads_are_whole_cores_and_at_least_one() {
    let threads = [0.0, 0.5, 1.9, 2.0, 64.0].map(whole_threads);
    assert_eq!(threads, [1, 1, 1, 2, 64]);
    assert_eq!(whole_threads(f64::NAN), 1);
}

#[test]
fn the_head_takes_a_quarter_within_its_bounds() {
    let head = |mib: u64| {
        let budget = Budget { cores: 1.0, memory: ByteSize::mib(mib), disk: ByteSize(0) };
        budget.head().0 >> 20
    };
    assert_eq!([64, 256, 2048, 1 << 20].map(head), [32, 64, 128, 128]);
}

#[test]
fn the_disk_share_leaves_room_and_counts_what_is_ours() {
    let gib = |n: u64| n << 30;
    let empty = Volume { bytes: gib(100), available: gib(100), used: 0 };
    assert_eq!(disk_of(empty) >> 30, 80);
    let crowded = Volume { bytes: gib(100), available: gib(10), used: gib(10) };
    assert_eq!(disk_of(crowded) >> 30, 19);
    assert_eq!(disk_of(Volume::default()), 0);
}

#[test]
fn a_directory_that_is_not_there_yet_stands_on_its_ancestors_volume() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("one"), [0; 1000]).unwrap();
    assert_eq!(volume(dir.path()).used, 1000);
    let later = volume(&dir.path().join("not/yet"));
    assert!(later.bytes > 0);
    assert_eq!(later.used, 0);
}
