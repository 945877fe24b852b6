//! Writes generated manifests: `generate COUNT [SEED] [DIRECTORY]`, one file each, or a stream on standard
//! output; `generate ingresses COUNT [SEED]` a stream of Ingresses only.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let mut args = env::args().skip(1).peekable();
    if args.next_if(|arg| arg == "ingresses").is_some() {
        let mut number = |default: u64| args.next().and_then(|text| text.parse().ok()).unwrap_or(default);
        let count = usize::try_from(number(1000)).unwrap_or(1000);
        print!("{}", portcullis_benches::ingresses(count, number(7)));
        return Ok(());
    }
    let number =
        |text: Option<String>, default: u64| text.and_then(|text| text.parse().ok()).unwrap_or(default);
    let count = usize::try_from(number(args.next(), 1000)).unwrap_or(1000);
    let seed = number(args.next(), 7);
    let text = portcullis_benches::manifests(count, seed);
    let Some(directory) = args.next().map(PathBuf::from) else {
        print!("{text}");
        return Ok(());
    };
    fs::create_dir_all(&directory)?;
    for (index, document) in text.split("---\n").filter(|document| !document.is_empty()).enumerate() {
        fs::write(directory.join(format!("{index:06}.yaml")), document)?;
    }
    Ok(())
}
