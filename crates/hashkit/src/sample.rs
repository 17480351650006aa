//! Keys to compare two placements with where their hashes cannot be compared: the same ones each time.

use crate::tag::HashTag;

/// Characters of a key, of which each stands for four random bits.
const LENGTH: usize = 16;

/// The longest key: two texts and two delimiters.
const LONGEST: usize = 2 * LENGTH + 2;

/// What the keys of a sample have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Letters and digits, none of which is a delimiter of a hash tag.
    Plain,
    /// A hash tag is in each of them: of the one kind in half of them and of the other in the others, if there are
    /// two.
    Tagged,
    /// Every other byte is 0x80 or above.
    HighBytes,
}

/// Makes keys.
#[derive(Debug)]
pub(crate) struct Keys {
    form: Form,
    tags: Vec<HashTag>,
    letters: [u8; 16],
    key: [u8; LONGEST],
}

impl Keys {
    /// Keys of a form, where these hash tags may be in use.
    pub(crate) fn new(form: Form, tags: impl Iterator<Item = HashTag>) -> Self {
        let tags: Vec<HashTag> = tags.collect();
        let is_delimiter = |letter: &u8| {
            tags.iter()
                .any(|tag| [tag.open, tag.close].contains(letter))
        };
        let mut letters = [b'0'; 16];
        // Two tags have at most four of these 36 as delimiters.
        let usable = (b'0'..=b'9')
            .chain(b'a'..=b'z')
            .filter(|it| !is_delimiter(it));
        for (place, letter) in letters.iter_mut().zip(usable) {
            *place = letter;
        }
        Self {
            form,
            tags,
            letters,
            key: [0; LONGEST],
        }
    }

    /// The key of a number.
    pub(crate) fn key(&mut self, number: u64) -> &[u8] {
        match (self.form, self.tags.len()) {
            (Form::Tagged, tags) if tags > 0 => {
                let tag = self.tags[(number % tags as u64) as usize];
                self.key[0] = tag.open;
                self.write(1, mixed(2 * number));
                self.key[LENGTH + 1] = tag.close;
                self.write(LENGTH + 2, mixed(2 * number + 1));
                &self.key
            }
            (form, _) => {
                self.write(0, mixed(number));
                let key = &mut self.key[..LENGTH];
                if form == Form::HighBytes {
                    key.iter_mut().step_by(2).for_each(|byte| *byte |= 0x80);
                }
                key
            }
        }
    }

    fn write(&mut self, at: usize, mut bits: u64) {
        for place in &mut self.key[at..at + LENGTH] {
            *place = self.letters[(bits & 15) as usize];
            bits >>= 4;
        }
    }
}

/// A number without recognisable order: that of SplitMix64 (Steele, Lea and Flood, 2014) for a seed.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRACES: HashTag = HashTag {
        open: b'{',
        close: b'}',
    };
    const LETTERS: HashTag = HashTag {
        open: b'0',
        close: b'a',
    };

    #[test]
    fn plain_keys_have_no_tag_and_tagged_ones_have_one_of_either_kind() {
        let mut keys = Keys::new(Form::Plain, [BRACES, LETTERS].into_iter());
        for number in 0..1_000 {
            let key = keys.key(number);
            assert_eq!((BRACES.apply(key), LETTERS.apply(key)), (key, key));
        }
        let mut keys = Keys::new(Form::Tagged, [BRACES, LETTERS].into_iter());
        for number in 0..1_000 {
            let key = keys.key(number).to_vec();
            let tags = [BRACES, LETTERS].map(|tag| tag.apply(&key).len() == LENGTH);
            assert_eq!(
                tags,
                [number % 2 == 0, number % 2 == 1],
                "{}",
                key.escape_ascii()
            );
        }
    }

    #[test]
    fn keys_differ_and_are_the_same_each_time() {
        for form in [Form::Plain, Form::Tagged, Form::HighBytes] {
            let made = || {
                let mut keys = Keys::new(form, [BRACES].into_iter());
                (0..10_000)
                    .map(|number| keys.key(number).to_vec())
                    .collect::<Vec<_>>()
            };
            let mut keys = made();
            assert_eq!(keys, made());
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), 10_000, "{form:?}");
            let high = keys.iter().all(|key| key[0] >= 0x80 && key[1] < 0x80);
            assert_eq!(high, form == Form::HighBytes);
        }
    }
}
