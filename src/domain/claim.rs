//! The one item of the lease table: which process may act.

use super::MemberId;

/// What the item says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// Who may act; nobody after a release.
    pub owner: Option<MemberId>,
    /// Counts the writes of the owner, so that each of them can be told from the one before. It is no time, and
    /// compared for equality only.
    pub counter: u64,
}

/// A write of the item, which takes effect only if the item is as expected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimWrite {
    /// As what it must be found.
    pub expects: Expects,
    /// What it then says.
    pub puts: Claim,
}

/// As what the item must be found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Expects {
    /// There is none.
    Nothing,
    /// It says this.
    Exactly(Claim),
    /// Its owner is this one, whatever its counter.
    OwnedBy(MemberId),
}

impl Expects {
    /// Whether the item is so.
    pub fn holds(&self, item: Option<&Claim>) -> bool {
        match (self, item) {
            (Self::Nothing, item) => item.is_none(),
            (Self::Exactly(claim), item) => item == Some(claim),
            (Self::OwnedBy(member), item) => item.is_some_and(|it| it.owner.as_ref() == Some(member)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_takes_effect_only_on_what_it_expects() {
        let claim = |owner: &str, counter| Claim { owner: Some(owner.into()), counter };
        let items = [None, Some(claim("a", 1)), Some(claim("a", 2)), Some(claim("b", 1))];
        let holds = |expects: Expects| items.each_ref().map(|item| expects.holds(item.as_ref()));
        assert_eq!(holds(Expects::Nothing), [true, false, false, false]);
        assert_eq!(holds(Expects::Exactly(claim("a", 1))), [false, true, false, false]);
        assert_eq!(holds(Expects::OwnedBy("a".into())), [false, true, true, false]);
    }
}
