//! Reads `mutants.txt`: the mistakes that tests must notice, as changes of text. Shared by a test and an example.

/// One mistake.
#[derive(Debug, Default)]
pub struct Mutant {
    pub name: String,
    /// Path from the top of the workspace; empty if the mistake cannot be made here.
    pub file: String,
    /// Test file and the beginning of the tests' names.
    pub tests: Vec<(String, String)>,
    pub old: String,
    pub new: String,
    /// Why it cannot be made here.
    pub reason: String,
}

/// The list. Errors name the line.
pub fn read(text: &str) -> Result<Vec<Mutant>, String> {
    let mut all: Vec<Mutant> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = || format!("mutants.txt, line {}: {line:?}", number + 1);
        if let Some(name) = line.strip_prefix("= ") {
            all.push(Mutant { name: name.into(), ..Mutant::default() });
            continue;
        }
        // What stands before the first one is for readers.
        let Some(mutant) = all.last_mut() else { continue };
        if let Some(file) = line.strip_prefix("in ") {
            mutant.file = file.into();
        } else if let Some(test) = line.strip_prefix("by ") {
            let (file, name) = test.split_once(' ').ok_or_else(wrong)?;
            mutant.tests.push((file.into(), name.into()));
        } else if let Some(old) = line.strip_prefix('<') {
            mutant.old += old;
            mutant.old.push('\n');
        } else if let Some(new) = line.strip_prefix('>') {
            mutant.new += new;
            mutant.new.push('\n');
        } else if let Some(reason) = line.strip_prefix("not applicable: ") {
            mutant.reason = reason.into();
        } else if !line.is_empty() {
            return Err(wrong());
        }
    }
    // A text may end within a line.
    all.iter_mut().for_each(|m| {
        m.old.pop();
        m.new.pop();
    });
    Ok(all)
}
