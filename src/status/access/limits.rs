//! How much one client gets: so many requests in a second, and in bounded memory.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::domain::Moment;

/// So many clients are told apart at a time. Whoever comes beside them shares what one client gets.
const MOST_CLIENTS: usize = 4_096;

/// A client that was silent may ask at once for what it gets in so long.
const BURST_MICROS: u64 = 2_000_000;

/// Who is counted as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Client {
    /// The bearers of one token.
    Token(Arc<str>),
    /// One address; of IPv6 one network, because each of its machines has any number of addresses.
    Peer(IpAddr),
    /// All for whom there is no room.
    Others,
}

/// At most so many requests of each client in a second.
///
/// Each client has a time at which all that it asked for would have been answered at that pace; one that is too far ahead
/// of now has to wait.
#[derive(Debug)]
pub(super) struct Limit {
    micros_between: u64,
    ahead: Mutex<BTreeMap<Client, u64>>,
}

impl Client {
    pub(super) fn of_peer(peer: IpAddr) -> Self {
        Self::Peer(match peer {
            IpAddr::V4(_) => peer,
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => address.into(),
                None => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            },
        })
    }
}

impl Limit {
    pub(super) fn new(per_second: u32) -> Self {
        Self { micros_between: 1_000_000 / u64::from(per_second.max(1)), ahead: Mutex::default() }
    }

    pub(super) fn per_second(&self) -> u64 {
        1_000_000 / self.micros_between
    }

    /// Counts one request.
    ///
    /// # Errors
    /// How long the client has to wait.
    pub(super) fn admit(&self, client: Client, now: Moment) -> Result<(), Duration> {
        let now = now.as_millis().saturating_mul(1_000);
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let client = if ahead.contains_key(&client) { client } else { with_room(&mut ahead, client, now) };
        let until = ahead.entry(client).or_insert(now);
        let next = now.max(*until) + self.micros_between;
        if next - now > BURST_MICROS.max(self.micros_between) {
            return Err(Duration::from_micros(next - now - BURST_MICROS));
        }
        *until = next;
        Ok(())
    }
}

/// Forgets clients that have nothing more to wait for; if that is not enough, the new one is one of many.
fn with_room(ahead: &mut BTreeMap<Client, u64>, client: Client, now: u64) -> Client {
    if ahead.len() >= MOST_CLIENTS {
        ahead.retain(|_, until| *until > now);
    }
    if ahead.len() >= MOST_CLIENTS { Client::Others } else { client }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Client {
        Client::of_peer(text.parse().expect("an address"))
    }

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn admitted(limit: &Limit, client: &Client, times: usize, now: Moment) -> usize {
        (0..times).filter(|_| limit.admit(client.clone(), now).is_ok()).count()
    }

    #[test]
    fn who_was_silent_gets_a_burst_and_then_so_many_in_a_second() {
        let (limit, client) = (Limit::new(10), peer("10.0.0.1"));
        assert_eq!(admitted(&limit, &client, 100, at(5_000)), 20);
        assert_eq!(admitted(&limit, &client, 100, at(6_000)), 10);
        assert_eq!(admitted(&limit, &client, 100, at(6_100)), 1);
        let wait = limit.admit(client.clone(), at(6_100)).expect_err("too much");
        assert_eq!(wait, Duration::from_millis(100));
        assert!(limit.admit(client, at(6_200)).is_ok());
    }

    #[test]
    fn a_slow_limit_admits_the_first() {
        let limit = Limit::new(1);
        assert_eq!(admitted(&limit, &peer("10.0.0.1"), 9, at(0)), 2);
    }

    #[test]
    fn one_client_takes_nothing_from_another() {
        let limit = Limit::new(10);
        let [one, other] = [peer("10.0.0.1"), Client::Token("10.0.0.1".into())];
        assert_eq!((admitted(&limit, &one, 99, at(0)), admitted(&limit, &other, 99, at(0))), (20, 20));
    }

    #[test]
    fn a_machine_with_many_addresses_is_one_client() {
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:2"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::ffff:10.0.0.1"), peer("10.0.0.1"));
    }

    #[test]
    fn memory_is_bounded_and_those_beyond_share() {
        let limit = Limit::new(10);
        let client = |n: u32| Client::of_peer(IpAddr::from(n.to_be_bytes()));
        for n in 0..10_000 {
            let _ = limit.admit(client(n), at(0));
        }
        assert_eq!(limit.ahead.lock().expect("sound").len(), MOST_CLIENTS + 1);
        assert!(limit.admit(client(99_999), at(0)).is_err(), "the others have used up their share");
        assert!(limit.admit(client(1), at(0)).is_ok(), "who was there before keeps theirs");
        assert!(limit.admit(client(99_999), at(9_000)).is_ok());
        assert_eq!(limit.ahead.lock().expect("sound").len(), 1, "who is not ahead is forgotten");
    }
}
