//! Every format against known files and hostile ones.

use history::formats;
use history::jsonl::ReadOptions;
use history::*;

fn data() -> Option<std::path::PathBuf> {
    let found = std::env::var_os("SCHISM_DATA").map(std::path::PathBuf::from);
    if found.is_none() {
        eprintln!("SKIPPED: SCHISM_DATA is not set, so no recorded history is read");
    }
    found
}

#[test]
fn scratch() {
    let Some(dir) = data() else { return };
    for sub in [
        "lin/knossos/cas-register/bad",
        "lin/knossos/cas-register/good",
        "lin/knossos/multi-register/good",
        "lin/porcupine/kv",
        "lin/porcupine/jepsen",
        "txn/elle",
        "txn/small",
        "real/etcd",
    ] {
        let mut files: Vec<_> =
            std::fs::read_dir(dir.join(sub)).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        for f in files {
            let input = std::io::BufReader::new(std::fs::File::open(&f).unwrap());
            let name = f.file_name().unwrap().to_string_lossy().to_string();
            match formats::read(input, &name, None, &ReadOptions::default()) {
                Ok((h, format)) => {
                    let kinds = [OutcomeKind::Ok, OutcomeKind::Fail, OutcomeKind::Info]
                        .map(|k| h.ops().filter(|o| o.kind() == k).count());
                    println!(
                        "{sub}/{name} {format} ops {} {:?} {:?} notes {:?}",
                        h.len(),
                        kinds,
                        h.completeness,
                        h.notes()
                            .iter()
                            .filter(|n| &*n.f == "import")
                            .map(|n| n.value.to_plain())
                            .collect::<Vec<_>>()
                    );
                }
                Err(e) => println!("{sub}/{name} ERROR {e}"),
            }
        }
    }
}
