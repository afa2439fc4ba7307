;; WASI preview 1 for plugins that import it although they get none of it: the runtimes of Go, TinyGo, wasi-libc and
;; others ask for these functions to start. Linked into the component of such a plugin (`wrap.rs`), which then
;; imports nothing but the contract; what the plugin does not import is left out.
;;
;; What a runtime needs to come up is answered, the same each time: no arguments, no environment, a clock that
;; stands. What would let it read, wait or draw is refused: a plugin that asks for chance gets an error and not
;; bytes that it takes for chance (`random` of the contract has real ones). What it writes goes nowhere; `log` of
;; the contract is heard.
;;
;; wit-component takes an adapter that has neither data nor a stack, and the plugin's memory by this name.
(module
  (import "env" "memory" (memory 0))

  ;; Success, and nothing to fill in.
  (func (export "args_get") (export "environ_get") (param i32 i32) (result i32)
    i32.const 0)
  (func (export "sched_yield") (result i32)
    i32.const 0)

  ;; Success: none of them, in no bytes.
  (func (export "args_sizes_get") (export "environ_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    i32.const 0)

  ;; It is one second past 1970. Not 0: Go takes a clock that says 0 for broken.
  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $time i32) (result i32)
    (i64.store (local.get $time) (i64.const 1_000_000_000))
    i32.const 0)
  (func (export "clock_res_get") (param $clock i32) (param $resolution i32) (result i32)
    (i64.store (local.get $resolution) (i64.const 1_000_000_000))
    i32.const 0)

  ;; Success: all of it was written, nowhere. Each piece is its address and its length.
  (func (export "fd_write") (param $fd i32) (param $piece i32) (param $pieces i32) (param $written i32) (result i32)
    (local $sum i32)
    (loop $next
      (if (local.get $pieces)
        (then
          (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $piece))))
          (local.set $piece (i32.add (local.get $piece) (i32.const 8)))
          (local.set $pieces (i32.sub (local.get $pieces) (i32.const 1)))
          (br $next))))
    (i32.store (local.get $written) (local.get $sum))
    i32.const 0)

  ;; The end of the instance.
  (func (export "proc_exit") (param i32)
    unreachable)

  ;; 52, ENOSYS: there is no such thing here.
  (func (export "random_get") (param i32 i32) (result i32)
    i32.const 52)
  (func (export "poll_oneoff") (param i32 i32 i32 i32) (result i32)
    i32.const 52)
  (func (export "proc_raise") (param i32) (result i32)
    i32.const 52)

  ;; 8, EBADF: no file, no directory, no socket is open.
  (func (export "fd_close") (export "fd_datasync") (export "fd_sync") (param i32) (result i32)
    i32.const 8)
  (func (export "fd_fdstat_get") (export "fd_fdstat_set_flags") (export "fd_filestat_get") (export "fd_prestat_get")
    (export "fd_renumber") (export "fd_tell") (export "sock_shutdown") (param i32 i32) (result i32)
    i32.const 8)
  (func (export "fd_prestat_dir_name") (export "path_create_directory") (export "path_remove_directory")
    (export "path_unlink_file") (export "sock_accept") (param i32 i32 i32) (result i32)
    i32.const 8)
  (func (export "fd_read") (param i32 i32 i32 i32) (result i32)
    i32.const 8)
  (func (export "path_filestat_get") (export "path_symlink") (export "sock_send") (param i32 i32 i32 i32 i32)
    (result i32)
    i32.const 8)
  (func (export "path_readlink") (export "path_rename") (export "sock_recv") (param i32 i32 i32 i32 i32 i32)
    (result i32)
    i32.const 8)
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
    i32.const 8)
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32)
    i32.const 8)
  (func (export "fd_allocate") (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32)
    i32.const 8)
  (func (export "fd_advise") (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32)
    i32.const 8)
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32)
    i32.const 8)
  (func (export "fd_pread") (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32)
    i32.const 8)
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32)
    i32.const 8)
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32)
    i32.const 8)
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)
    i32.const 8))
