//! What is written down in a file and compared, by section: `# name`, then lines. `SCHISM_GOLDEN=write` writes down what
//! is there now, to be read as a diff before it is committed.
#![allow(clippy::disallowed_methods, reason = "a golden file is written when asked to be")]

use std::sync::Mutex;

/// Tests of one file run side by side.
static WRITING: Mutex<()> = Mutex::new(());

fn sections(text: &str) -> Vec<(&str, &str)> {
    text.split("# ")
        .filter_map(|s| s.split_once('\n'))
        .map(|(name, lines)| (name, lines.trim_end()))
        .collect()
}

/// `written`: the whole file, as it was compiled in.
pub fn compare(file: &str, written: &str, name: &str, lines: &[String]) {
    let now = lines.join("\n");
    if std::env::var_os("SCHISM_GOLDEN").is_some() {
        let path = format!("{}/tests/{file}", env!("CARGO_MANIFEST_DIR"));
        let _one = WRITING.lock();
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        let mut all = sections(&old);
        match all.iter_mut().find(|s| s.0 == name) {
            Some(section) => section.1 = &now,
            None => all.push((name, &now)),
        }
        all.sort_unstable_by_key(|s| s.0);
        let text: String = all.iter().map(|(name, lines)| format!("# {name}\n{lines}\n")).collect();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let old = sections(written).into_iter().find(|s| s.0 == name).map_or("", |s| s.1);
    for (old, now) in old.lines().zip(lines) {
        assert_eq!(old, now, "{file}, {name}");
    }
    assert_eq!(old, now, "{file}, {name}");
}

/// A short name for something long.
pub fn digest(of: impl std::fmt::Debug) -> String {
    let hash = format!("{of:?}")
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ b as u64).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{:04x}", (hash ^ hash >> 32) as u16)
}
