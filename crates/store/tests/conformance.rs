//! The conformance suite on every engine, and what is special to the engine in a file.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests stop at the first surprise")]

use std::path::{Path, PathBuf};

use store::disk::Disk;
use store::embedded::FILE_NAME;
use store::faults::{Faulty, Kind, Moment};
use store::suite::{Factory, entry, records_of, rows, run, wait};
use store::{Any, CommitError, Embedded, Memory, Store, StoreError, batch_id, fsck, fsck_backend};

struct InMemory;

impl Factory for InMemory {
    type Store = Memory;

    fn create(&mut self) -> Result<Memory, StoreError> {
        Ok(Memory::new())
    }

    fn reopen(&mut self, store: Memory) -> Result<Memory, StoreError> {
        Ok(store)
    }
}

/// Stores in new directories; each reopening checks the file first.
struct InFiles {
    root: tempfile::TempDir,
    made: usize,
}

impl InFiles {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), made: 0 }
    }

    fn directory(&self) -> PathBuf {
        self.root.path().join(self.made.to_string())
    }
}

impl Factory for InFiles {
    type Store = Any;

    fn create(&mut self) -> Result<Any, StoreError> {
        self.made += 1;
        Ok(Any::FaultyEmbedded(Faulty::new(Embedded::create(&self.directory())?)))
    }

    fn reopen(&mut self, store: Any) -> Result<Any, StoreError> {
        drop(store);
        let report = fsck(&self.directory())?;
        assert!(report.is_sound(), "{report:?}");
        Ok(Any::Embedded(Embedded::open(&self.directory())?))
    }
}

struct OnDisk(Disk);

impl Factory for OnDisk {
    type Store = Embedded;

    fn create(&mut self) -> Result<Embedded, StoreError> {
        self.0 = Disk::new();
        Embedded::create_on(self.0.clone())
    }

    fn reopen(&mut self, store: Embedded) -> Result<Embedded, StoreError> {
        drop(store);
        let report = fsck_backend(self.0.clone())?;
        assert!(report.is_sound(), "{report:?}");
        Embedded::open_on(self.0.clone())
    }
}

#[test]
fn memory_conforms() {
    run(&mut InMemory).unwrap();
}

#[test]
fn embedded_conforms() {
    run(&mut InFiles::new()).unwrap();
}

#[test]
fn embedded_conforms_on_a_backend() {
    run(&mut OnDisk(Disk::new())).unwrap();
}

#[test]
fn a_wrong_directory_is_a_clear_error() {
    let root = tempfile::tempdir().unwrap();
    let missing = root.path().join("none");
    for directory in [missing.as_path(), root.path()] {
        let error = Embedded::open(directory).unwrap_err();
        assert!(matches!(error, StoreError::NotInitialised { .. }), "{error}");
        assert!(error.to_string().contains("linkrole init"), "{error}");
        assert!(matches!(fsck(directory), Err(StoreError::NotInitialised { .. })));
    }
    assert!(!missing.exists(), "an open that fails makes nothing");
    // What a creation that was killed leaves behind is no store, and does not hinder the next.
    std::fs::write(root.path().join(format!("{FILE_NAME}.new")), b"half").unwrap();
    assert!(matches!(Embedded::open(root.path()), Err(StoreError::NotInitialised { .. })));
    let store = Embedded::create(root.path()).unwrap();
    wait(store.commit(0, &[entry("kept", &[(1, "k", Some("v"))])])).unwrap();
    drop(store);
    let error = Embedded::create(root.path()).unwrap_err();
    assert!(matches!(error, StoreError::AlreadyInitialised { .. }), "{error}");
    assert_eq!(rows(&Embedded::open(root.path()).unwrap()).unwrap().1, 1);
    let names: Vec<_> =
        std::fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, [FILE_NAME]);
}

#[test]
fn a_file_of_something_else_is_a_clear_error() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join(FILE_NAME);
    for bytes in [vec![], b"not a store".to_vec(), vec![0; 10_000], vec![0xff; 100_000]] {
        std::fs::write(&file, &bytes).unwrap();
        let error = Embedded::open(root.path()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_) | StoreError::Io(_)), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), bytes, "left as it was");
    }
}

#[test]
fn a_second_opening_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let held = Embedded::create(root.path()).unwrap();
    for error in [Embedded::open(root.path()).unwrap_err(), fsck(root.path()).unwrap_err()] {
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(FILE_NAME) && text.contains("another linkrole process"), "{text}");
    }
    drop(held);
    Embedded::open(root.path()).unwrap();
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("made");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    drop(Embedded::create(&directory).unwrap());
    let file = directory.join(FILE_NAME);
    assert_eq!((mode(&file), mode(&directory)), (0o600, 0o700));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    drop(Embedded::open(&directory).unwrap());
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn failures_stop_writes_until_reopened() {
    for (moment, revision) in [(Moment::Before, 1), (Moment::After, 2)] {
        let memory = Memory::new();
        let store = Faulty::new(memory.clone());
        wait(store.commit(0, &[entry("a", &[(1, "a", Some("1"))])])).unwrap();
        let batch = [entry("b", &[(1, "b", Some("2"))])];
        store.fail(Kind::Commit, 1, moment);
        assert!(matches!(wait(store.commit(1, &batch)), Err(CommitError::Failed(_))));
        for after in [1, 2] {
            let again = wait(store.commit(after, &batch));
            assert_eq!(again, Err(CommitError::Failed(StoreError::Stopped)));
        }
        assert_eq!(wait(store.record(&[])), Err(StoreError::Stopped));
        // Reopened, the stored id tells what became of the lost answer.
        let reopened = Faulty::new(store.into_inner());
        let last = wait(reopened.last_commit()).unwrap();
        assert_eq!(last.revision, revision);
        assert_eq!(last.batch == batch_id(1, &batch), moment == Moment::After);
        wait(reopened.commit(revision, &[])).unwrap();
        assert_eq!(records_of(&memory).unwrap().len() as u64, revision);
        assert_eq!(reopened.calls(Kind::Commit), 1);
    }
    let store = Faulty::new(Memory::new());
    for kind in [Kind::Load, Kind::Entries, Kind::LastCommit] {
        store.fail(kind, 2, Moment::Before);
    }
    for fails in [false, true, false] {
        assert_eq!(rows(&store).is_err(), fails);
        assert_eq!(records_of(&store).is_err(), fails);
        assert_eq!(wait(store.last_commit()).is_err(), fails);
    }
    store.fail(Kind::Record, 1, Moment::After);
    wait(store.record(&[entry("r", &[])])).unwrap_err();
    assert_eq!(wait(store.record(&[])), Err(StoreError::Stopped));
}

#[test]
fn batch_ids_differ_with_any_part() {
    let batch = [entry("r", &[(1, "k", Some("v")), (1, "l", None)])];
    let others = [
        batch_id(2, &batch),
        batch_id(1, &[]),
        batch_id(1, &[entry("", &[(1, "k", Some("v")), (1, "l", None)])]),
        batch_id(1, &[entry("r", &[(2, "k", Some("v")), (1, "l", None)])]),
        batch_id(1, &[entry("r", &[(1, "kv", Some("")), (1, "l", None)])]),
        batch_id(1, &[entry("r", &[(1, "k", Some("v")), (1, "l", Some(""))])]),
        batch_id(1, &[entry("r", &[(1, "k", Some("v"))]), entry("", &[(1, "l", None)])]),
    ];
    let own = batch_id(1, &batch);
    assert!(others.iter().all(|other| *other != own));
    assert_eq!(own, batch_id(1, &batch));
}

#[test]
fn atk_i10_another_format_is_refused() {
    let disk = Disk::new();
    let store = Embedded::create_on(disk.clone()).unwrap();
    wait(store.commit(0, &[entry("a", &[(1, "k", Some("v"))])])).unwrap();
    drop(store);
    assert_eq!(rows(&Embedded::open_on(disk.clone()).unwrap()).unwrap().1, 1);
    for found in [0, 1, 2, u32::MAX] {
        let disk = Disk::holding(disk.bytes());
        store_format(&disk, found);
        match Embedded::open_on(disk.clone()).unwrap_err() {
            StoreError::Format { found: answered, supported: 3 } => assert_eq!(answered, found),
            other => panic!("{other}"),
        }
        assert!(matches!(fsck_backend(disk), Err(StoreError::Format { .. })));
    }
}

/// Rewrites the head as another release would: its own format number under a right checksum.
fn store_format(disk: &Disk, format: u32) {
    use redb::{Database, TableDefinition};
    use twox_hash::XxHash3_64;
    const HEAD: TableDefinition<'static, u8, &[u8]> = TableDefinition::new("head");
    let database = Database::builder().create_with_backend(disk.clone()).unwrap();
    let transaction = database.begin_write().unwrap();
    let body = [format.to_be_bytes().as_slice(), b"whatever that release stores"].concat();
    let sum = XxHash3_64::oneshot_with_seed(XxHash3_64::oneshot(b"head"), &body);
    let stored = [sum.to_be_bytes().as_slice(), &body].concat();
    transaction.open_table(HEAD).unwrap().insert(0, stored.as_slice()).unwrap();
    transaction.commit().unwrap();
}
