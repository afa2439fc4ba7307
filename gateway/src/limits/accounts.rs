//! The accounts of all tenants, made when they are first asked for.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use model::metric::{Counter, Gauge};
use model::{Clock, Nanos, TenantId};

use super::account::{Account, AccountId, Parts, Source};
use crate::overrides::Overrides;

/// Accounts that are kept. Where everybody may name a tenant, there may be any number of them.
const ACCOUNTS_MAX: usize = 10_000;

/// An account that nobody has asked for since then goes, where there is no room for another one.
const IDLE_MIN: Nanos = Nanos::from_secs(600);

/// How often room is looked for.
const LOOK: Nanos = Nanos::SECOND;

/// A tenant, and a class.
type Key = (TenantId, Option<Arc<str>>);

/// What the metrics page shows of the table itself.
#[derive(Debug, Default)]
pub struct Stats {
    /// Accounts that are kept.
    pub accounts: Gauge,
    /// Accounts that went to make room.
    pub evicted: Counter,
    /// Requests that shared an account because there was no room for their own.
    pub shared: Counter,
}

/// All accounts.
#[derive(Debug)]
pub struct Accounts {
    parts: Parts,
    table: RwLock<Table>,
    nowhere: Arc<str>,
    stats: Stats,
}

#[derive(Debug)]
struct Table {
    accounts: HashMap<Key, Arc<Account>>,
    /// The next account's; 0 is nobody's.
    next: u64,
    /// Whoever comes when there is no room shares this one.
    others: Option<Arc<Account>>,
    looked_at: Nanos,
}

impl Accounts {
    /// No accounts yet.
    #[must_use]
    pub fn new(overrides: Arc<Overrides>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let table = Table { accounts: HashMap::new(), next: 1, others: None, looked_at: Nanos(0) };
        Arc::new(Self {
            parts: Parts { overrides, clock },
            table: RwLock::new(table),
            nowhere: "".into(),
            stats: Stats::default(),
        })
    }

    /// What tells the limits.
    #[must_use]
    pub fn overrides(&self) -> &Arc<Overrides> {
        &self.parts.overrides
    }

    /// What is counted of the table itself.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The account of a tenant, as those of a class have it.
    #[must_use]
    pub fn account(&self, tenant: &TenantId, class: Option<&Arc<str>>) -> Arc<Account> {
        let key = (tenant.clone(), class.cloned());
        let known = {
            let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
            table.accounts.get(&key).map(Arc::clone)
        };
        let account = known.unwrap_or_else(|| self.make(key));
        account.renew(&self.parts);
        account
    }

    /// Where a request comes from.
    #[must_use]
    pub fn source(
        &self,
        tenant: &TenantId,
        class: Option<&Arc<str>>,
        cluster: Option<&Arc<str>>,
    ) -> Source {
        let account = self.account(tenant, class);
        let cluster = account.cluster(cluster.unwrap_or(&self.nowhere), &self.parts);
        Source { account, cluster }
    }

    /// All of them, by tenant and class.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Account>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> =
            table.accounts.values().chain(&table.others).map(Arc::clone).collect();
        all.sort_by(|one, other| (&one.tenant, &one.class).cmp(&(&other.tenant, &other.class)));
        all
    }

    fn make(&self, key: Key) -> Arc<Account> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let table = &mut *table;
        if table.accounts.len() >= ACCOUNTS_MAX && !table.accounts.contains_key(&key) {
            self.make_room(table);
        }
        let mut number = || {
            table.next += 1;
            AccountId(table.next - 1)
        };
        let made = if table.accounts.len() < ACCOUNTS_MAX || table.accounts.contains_key(&key) {
            let entry = table.accounts.entry(key.clone());
            entry.or_insert_with(|| Arc::new(Account::new(number(), key, &self.parts)))
        } else {
            self.stats.shared.inc();
            let others =
                || Arc::new(Account::new(number(), (TenantId::others(), None), &self.parts));
            table.others.get_or_insert_with(others)
        };
        let made = Arc::clone(made);
        self.stats.accounts.set(table.accounts.len() as u64);
        made
    }

    /// Lets the accounts go that nobody has asked for in a while.
    fn make_room(&self, table: &mut Table) {
        let now = self.parts.clock.monotonic();
        if now.minus(table.looked_at) < LOOK {
            return;
        }
        table.looked_at = now;
        let before = table.accounts.len();
        let is_used =
            |account: &Arc<Account>| account.idle(now) < IDLE_MIN || Arc::strong_count(account) > 1;
        table.accounts.retain(|_, account| is_used(account));
        self.stats.evicted.add((before - table.accounts.len()) as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::account::Unit;
    use crate::limits::refusal::Reason;
    use crate::limits::tests::Hand;
    use crate::overrides::{Config, Limits};
    use crate::watch::Reload as _;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    const FILE: &str = "
tenants:
  shop:
    ingestion: {rate_spans: 100, rate_bytes: 1000}
    clusters: {eu-1: {ingestion: {rate_spans: 10}}}
";

    struct Rig {
        accounts: Arc<Accounts>,
        hand: Arc<Hand>,
        path: std::path::PathBuf,
        _dir: tempfile::TempDir,
    }

    fn rig() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("overrides.yaml");
        std::fs::write(&path, FILE).unwrap();
        let config = Config { defaults: Limits::default(), file: path.display().to_string() };
        let hand = Arc::new(Hand::default());
        let overrides = Overrides::open(&config).unwrap();
        let accounts = Accounts::new(overrides, Arc::<Hand>::clone(&hand) as Arc<dyn Clock>);
        Rig { accounts, hand, path, _dir: dir }
    }

    #[test]
    fn a_cluster_has_its_rate_and_shares_that_of_its_tenant() {
        let rig = rig();
        let (shop, eu) = (tenant("shop"), Arc::from("eu-1"));
        let spoke = rig.accounts.source(&shop, None, Some(&eu));
        let direct = rig.accounts.source(&shop, None, None);
        spoke.admit(Unit::Spans, 150).unwrap();
        let refusal = spoke.admit(Unit::Spans, 1).unwrap_err();
        assert_eq!((refusal.reason, refusal.wait.as_secs()), (Reason::ClusterSpans, 13));
        let told = refusal.to_string();
        let wanted = "tenant shop, cluster eu-1 sends more spans than ingestion.rate_spans allows: \
                      10 in a second, 20 at once; there is room again in 13s 2ms";
        assert_eq!(told, wanted);
        // 50 are left to the tenant.
        direct.admit(Unit::Spans, 90).unwrap();
        let refusal = direct.admit(Unit::Spans, 1).unwrap_err();
        assert_eq!((refusal.reason, &*refusal.tenant.to_string()), (Reason::Spans, "shop"));
        // What the tenant refuses costs the cluster nothing.
        let us = Arc::from("us-1");
        let other = rig.accounts.source(&shop, None, Some(&us));
        assert_eq!(other.admit(Unit::Spans, 1).unwrap_err().reason, Reason::Spans);
        direct.refund(Unit::Spans, 90);
        direct.charge(Unit::Spans, 40);
        direct.admit(Unit::Spans, 1).unwrap();
        assert!(
            rig.accounts.source(&tenant("other"), None, None).admit(Unit::Spans, 1 << 40).is_ok()
        );
        assert_eq!(spoke.account.clusters().len(), 3);
    }

    #[test]
    fn a_change_holds_at_once_and_leaves_other_buckets_alone() {
        let rig = rig();
        let shop = tenant("shop");
        rig.accounts.source(&shop, None, None).admit(Unit::Spans, 500).unwrap();
        rig.accounts.source(&shop, None, None).admit(Unit::Bytes, 5_000).unwrap();
        std::fs::write(&rig.path, FILE.replace("rate_spans: 100", "rate_spans: 200")).unwrap();
        rig.accounts.overrides().reload();
        let source = rig.accounts.source(&shop, None, None);
        assert_eq!(source.account.balance(Unit::Spans), Some(400));
        assert_eq!(source.account.balance(Unit::Bytes), Some(-3_000));
        assert!(source.admit(Unit::Spans, 1).is_ok());
    }

    #[test]
    fn there_is_an_end_of_accounts_and_idle_ones_go() {
        let rig = rig();
        let name = |number: usize| tenant(&format!("tenant-{number}"));
        for number in 0..ACCOUNTS_MAX {
            drop(rig.accounts.account(&name(number), None));
        }
        let one = rig.accounts.account(&name(ACCOUNTS_MAX), None);
        let two = rig.accounts.account(&name(ACCOUNTS_MAX + 1), None);
        assert_eq!((one.id, one.tenant.as_str()), (two.id, "__others"));
        assert_eq!(rig.accounts.stats().shared.get(), 2);
        rig.hand.pass(Nanos::from_secs(601));
        let kept = rig.accounts.account(&name(7), None);
        let three = rig.accounts.account(&name(ACCOUNTS_MAX), None);
        assert_eq!(three.tenant, name(ACCOUNTS_MAX));
        assert_eq!(rig.accounts.stats().accounts.get(), 2);
        assert_eq!(rig.accounts.account(&name(7), None).id, kept.id);
    }
}
