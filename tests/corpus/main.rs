//! Replays the inputs that were kept from fuzzing: each folder beside this file is the corpus of the target of that
//! name in `fuzz/`, and each input must have the properties that are claimed there.

#[path = "properties.rs"]
mod properties;

use std::{
    collections::BTreeSet,
    fs, panic,
    path::{Path, PathBuf},
};

// `src/aws/ecs/definition.rs` is a module of this crate here, too, and looks for it where it is at home.
use lockkeeper::domain;

type Property = fn(&[u8]);

const TARGETS: [(&str, Property); 8] = [
    ("decode", properties::decode),
    ("settings", properties::settings),
    ("environment", properties::environment),
    ("tags", properties::tags),
    ("references", properties::references),
    ("definitions", properties::definitions),
    ("dependencies", properties::dependencies),
    ("letters", properties::letters),
];

#[test]
fn every_kept_input_has_the_properties_of_its_target() {
    let inputs = TARGETS
        .iter()
        .flat_map(|target| files(&root().join(target.0)).into_iter().map(move |it| (target, it)));
    let is_broken = |((_, property), path): &(&(&str, Property), PathBuf)| {
        let input = fs::read(path).expect("it is readable");
        panic::catch_unwind(|| property(&input)).is_err()
    };
    let broken: Vec<PathBuf> = inputs.filter(is_broken).map(|(_, path)| path).collect();
    assert!(broken.is_empty(), "these break a property of their target: {broken:#?}");
}

#[test]
fn every_target_has_inputs_and_every_folder_of_inputs_a_target() {
    let named: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let stems = |folder: &Path, what: fn(&Path) -> bool| -> BTreeSet<String> {
        let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
        entries(folder).into_iter().filter(|path| what(path)).map(stem).collect()
    };
    assert_eq!(stems(&root(), Path::is_dir), named, "folders of inputs");
    assert_eq!(stems(&root().join("../../fuzz/fuzz_targets"), Path::is_file), named, "targets in fuzz/");
    for name in &named {
        assert!(!files(&root().join(name)).is_empty(), "{name} has no input");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_file()).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.expect("it is readable").path()).collect();
    paths.sort();
    paths
}
