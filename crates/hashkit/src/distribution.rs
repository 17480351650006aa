//! The ways to share keys among servers, by name.

/// How a pool shares its keys among its servers: the `distribution` setting
/// of nutcracker 0.5.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Distribution {
    /// Consistent hashing: losing one server moves only that server's keys.
    /// nutcracker's default.
    #[default]
    Ketama,
    /// Hash modulo the sum of the weights: losing a server moves most keys.
    Modula,
    /// Any live server, drawn anew each time; the key and the weights do not
    /// matter.
    Random,
}

impl Distribution {
    /// Every distribution, in the order in which the manual lists them.
    pub const ALL: [Self; 3] = [Self::Ketama, Self::Modula, Self::Random];

    /// The name by which a configuration file asks for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ketama => "ketama",
            Self::Modula => "modula",
            Self::Random => "random",
        }
    }

    /// The distribution called `name` (case matters, as in nutcracker), or
    /// `None` if there is none.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::Distribution;

    #[test]
    fn every_name_leads_back() {
        for kind in Distribution::ALL {
            assert_eq!(Distribution::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Distribution::default().name(), "ketama");
    }

    #[test]
    fn other_spellings_are_unknown() {
        for name in ["", "Ketama", "ketama ", "modulo", "one"] {
            assert_eq!(Distribution::from_name(name), None, "{name:?}");
        }
    }
}
