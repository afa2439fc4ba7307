//! Writes the seeds of each target to `DIR/TARGET/`, for a corpus to start from.

mod checks;

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let dir = env::args().nth(1).ok_or_else(|| io::Error::other("usage: seed DIR"))?;
    for (target, seeds) in checks::seeds() {
        let dir = Path::new(&dir).join(target);
        fs::create_dir_all(&dir)?;
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(dir.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
