//! What can be wrong with the files of certificates and keys.

/// Which of the files that a setting names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The certificate of this side, with those that lead to its root.
    Certificate,
    /// The key that belongs to it.
    Key,
    /// The roots that certificates of the other side must lead to.
    Roots,
}

impl Which {
    /// What is in it, in a word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Which::Certificate => "certificate",
            Which::Key => "key",
            Which::Roots => "roots",
        }
    }
}

/// What is wrong with a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Which one.
    pub(crate) which: Which,
    /// What is wrong, to follow "the file".
    pub(crate) text: String,
    /// What to do.
    pub(crate) help: &'static str,
}

impl Fault {
    pub(super) fn new(which: Which, text: impl Into<String>, help: &'static str) -> Self {
        let text = text.into();
        Self { which, text, help }
    }
}
