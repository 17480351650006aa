//! Settings whose value is one of a few names. Each name is written once, beside the row of its setting.

/// A type whose values have names in a configuration. Its `Default` is the setting's default.
pub(super) trait Choice: Copy + Default + 'static {
    /// What the names stand for, for messages.
    const NOUN: &'static str;

    /// Every value, in the order of the manual.
    const ALL: &'static [Self];

    /// The name of a value.
    fn name(self) -> &'static str;

    /// What a value means, in a few words, unless the setting's description says it.
    fn about(self) -> &'static str {
        ""
    }
}

/// Implements `Choice` from a list of names and variants. A variant without a name does not compile.
macro_rules! choices {
    ($type:ty, $noun:literal, $($name:literal => $variant:ident),+ $(,)?) => {
        impl Choice for $type {
            const NOUN: &'static str = $noun;
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }
    };
}

pub(super) use choices;
