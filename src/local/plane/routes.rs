//! The route table: which names lead to which backends. The router and the DNS responder look at the same one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Where each name leads. Sent whole, so that a swap is one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// By full CNAME: `shop.local.elasticbeanstalk.com`.
    pub hosts: BTreeMap<String, Route>,
}

/// Where one name leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The load balancer's name, which the CNAME points to; it is routed and resolved as well.
    pub endpoint: String,
    /// Healthy instances, as `ip:port`.
    pub backends: Vec<String>,
}

/// Healthy instances behind one name, taken in turn.
#[derive(Debug)]
pub struct Backends {
    addresses: Vec<SocketAddr>,
    next: AtomicUsize,
}

impl Backends {
    /// The instance whose turn it is; `None` when there is none.
    pub fn next(&self) -> Option<SocketAddr> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.addresses.get(turn.checked_rem(self.addresses.len())?).copied()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.addresses.len()
    }
}

/// A table made ready for look-ups.
#[derive(Debug, Default)]
pub struct Names {
    backends: HashMap<String, Arc<Backends>>,
    by_first_label: HashMap<String, Arc<Backends>>,
    endpoints: HashMap<String, String>,
    addresses: HashSet<SocketAddr>,
}

impl Names {
    /// Reads a table.
    ///
    /// # Errors
    /// A sentence that names the backend that is no `ip:port`.
    pub fn of(table: &RouteTable) -> Result<Self, String> {
        let mut names = Self::default();
        for (host, route) in &table.hosts {
            let read = |text: &String| {
                text.parse::<SocketAddr>().map_err(|_| format!("the backend `{text}` of {host} is no ip:port"))
            };
            let addresses = route.backends.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            names.addresses.extend(&addresses);
            let backends = Arc::new(Backends { addresses, next: AtomicUsize::new(0) });
            let (host, endpoint) = (plain(host), plain(&route.endpoint));
            for name in [&endpoint, &host] {
                let first = name.split('.').next().unwrap_or(name);
                names.by_first_label.insert(first.to_owned(), backends.clone());
                names.backends.insert(name.clone(), backends.clone());
            }
            names.endpoints.insert(host, endpoint);
        }
        Ok(names)
    }

    /// What stands behind the name in a Host header: a full name, or its first label under `localhost`.
    pub fn backends(&self, host: &str) -> Option<&Arc<Backends>> {
        let name = plain(host);
        self.backends.get(&name).or_else(|| self.by_first_label.get(name.strip_suffix(".localhost")?))
    }

    /// The endpoint that this name points to.
    pub fn endpoint(&self, name: &str) -> Option<&str> {
        self.endpoints.get(name).map(String::as_str)
    }

    /// Whether the name itself is known, as a CNAME or as an endpoint.
    pub fn is_known(&self, name: &str) -> bool {
        self.backends.contains_key(name)
    }

    /// Whether any known name lies below this one.
    pub fn has_below(&self, name: &str) -> bool {
        self.backends.keys().any(|known| known.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')))
    }

    /// Whether an instance has this address.
    pub fn has_backend(&self, address: SocketAddr) -> bool {
        self.addresses.contains(&address)
    }

    /// The CNAMEs, in order, for a sentence about what is there.
    pub fn known(&self) -> Vec<&str> {
        let mut known: Vec<&str> = self.endpoints.keys().map(String::as_str).collect();
        known.sort_unstable();
        known
    }
}

/// The table that holds now. Clones share it.
#[derive(Clone, Debug)]
pub struct Routes(watch::Sender<Arc<Names>>);

impl Default for Routes {
    fn default() -> Self {
        Self(watch::Sender::new(Arc::default()))
    }
}

impl Routes {
    /// Puts another table in place, in one step.
    ///
    /// # Errors
    /// A sentence about what is wrong with the new table; the old one then stays.
    pub fn replace(&self, table: &RouteTable) -> Result<(), String> {
        self.0.send_replace(Arc::new(Names::of(table)?));
        Ok(())
    }

    /// The table of this moment.
    pub fn now(&self) -> Arc<Names> {
        self.0.borrow().clone()
    }

    /// Hears of every later table.
    pub fn watch(&self) -> watch::Receiver<Arc<Names>> {
        self.0.subscribe()
    }
}

/// A name as it is compared: lower case, without port and final dot.
pub fn plain(name: &str) -> String {
    let name = match name.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => name,
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(backends: &[&str]) -> RouteTable {
        let route = Route {
            endpoint: "awseb-e-1.local.elb.amazonaws.com".into(),
            backends: backends.iter().map(|&b| b.into()).collect(),
        };
        RouteTable { hosts: [("Shop.local.elasticbeanstalk.com".to_owned(), route)].into() }
    }

    #[test]
    fn a_name_is_found_in_full_by_its_first_label_and_by_its_endpoint() {
        let names = Names::of(&table(&["10.0.0.1:80", "10.0.0.2:80"])).unwrap();
        for host in [
            "shop.local.elasticbeanstalk.com",
            "SHOP.local.elasticbeanstalk.com.:8080",
            "shop.localhost:4711",
            "awseb-e-1.local.elb.amazonaws.com",
            "awseb-e-1.localhost",
        ] {
            assert_eq!(names.backends(host).map(|b| b.count()), Some(2), "{host}");
        }
        for host in ["shop", "localhost", "other.localhost", "elasticbeanstalk.com", ""] {
            assert!(names.backends(host).is_none(), "{host}");
        }
        assert!(names.has_below("elasticbeanstalk.com") && !names.has_below("beanstalk.com"));
    }

    #[test]
    fn backends_take_turns_and_none_is_no_address() {
        let names = Names::of(&table(&["10.0.0.1:80", "10.0.0.2:80"])).unwrap();
        let backends = names.backends("shop.localhost").unwrap();
        let turns: HashSet<_> = [backends.next(), backends.next()].into();
        assert_eq!(turns.len(), 2);
        assert_eq!(Names::of(&table(&[])).unwrap().backends("shop.localhost").unwrap().next(), None);
        assert!(Names::of(&table(&["web:80"])).unwrap_err().contains("`web:80`"));
    }
}
