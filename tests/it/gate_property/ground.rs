//! What is done to the program, and noted down in the model beside it.

use super::{
    event::{News, Word},
    person::{Excluded, Got, Model, Person, day_of},
};
use crate::support::TestApp;
use chrono::{DateTime, Days, NaiveTime, Utc};
use llovizna::{
    access::Actor,
    campaigns::{
        campaign,
        edit::Edit,
        launch,
        variants::{self, Measure, Plan, Variant},
    },
    channels::{
        Channel,
        feedback::{Kind, Report, Source},
    },
    clock::Clock,
    config::Config,
    contacts::{
        consent::{self, Grant},
        contact_list::Filter,
        merge, preferences,
        rhythm::{self, Rhythm},
        vocabulary::Basis,
    },
    error::Error,
    ids::{CampaignId, ContactId, MailingId, TemplateId},
    mailings,
    messaging::{
        departure,
        inbound::{self, Pass},
        kinds::{MessageType, Scope, SuppressionReason},
        legal::DEFAULT_FOOTER,
        links, outbox,
        suppression::{self, Entry, Foreign},
        template,
    },
    settings::{self, EmailChannel},
};
use sqlx::{PgConnection, PgPool};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
};
use uuid::Uuid;

/// The program and the model of it.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) db: PgPool,
    pub(super) clock: Clock,
    pub(super) config: Arc<Config>,
    pub(super) ids: Arc<Vec<ContactId>>,
    pub(super) model: Arc<Mutex<Model>>,
}

const WHO: Actor = Actor::CommandLine;
const EMAIL: Channel = Channel::Email;

impl Ground {
    /// Of the people `ids`, who agreed and said nothing else.
    pub(super) fn of(app: &TestApp, ids: Vec<ContactId>) -> Ground {
        let person =
            |n: usize| Person { address: format!("sur{n}@x.example"), agreed: true, ..Person::default() };
        let caps = vec![(None, 1, 7), (None, 4, 30), (Some(MessageType::Reactivation), 1, 90)];
        let model = Model { people: (1..=ids.len()).map(person).collect(), caps, ..Model::default() };
        Ground {
            db: app.state.db.clone(),
            clock: app.state.clock.clone(),
            config: app.state.config.clone(),
            ids: Arc::new(ids),
            model: Arc::new(Mutex::new(model)),
        }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(super) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }

    /// One of the messages that they got, and were written down; none: they got none.
    fn one_of(&self, who: usize, which: usize) -> Option<Got> {
        let model = self.model();
        let person = &model.people[who];
        // What is done by a message to an address that was left out holds for that address.
        let told = |it: &&Got| !it.in_doubt && it.address == person.address;
        let known: Vec<&Got> = person.got[..person.written].iter().filter(told).collect();
        (!known.is_empty()).then(|| known[which % known.len()].clone())
    }

    /// `word` of the person number `who`, who says nothing any more once deleted.
    pub(super) async fn say(&self, who: usize, word: &Word) {
        let who = self.model().standing(who);
        if self.model().people[who].deleted {
            return;
        }
        if let Word::Joined(goes) = *word {
            self.join(who, goes).await;
            return;
        }
        let (now, id) = (self.now(), self.ids[who]);
        let address = self.model().people[who].address.clone();
        let mut tx = self.db.begin().await.unwrap();
        match *word {
            Word::Excluded(all, reason, hashed) => {
                self.exclude(who, Excluded { all, reason, hashed }, &address).await;
            }
            // What a server has just said of the address may stand on the list by now, or not yet.
            Word::Lifted(_) if self.model().people[who].found_dead => return,
            Word::Lifted(which) => {
                let known = self.model().people[who].excluded.clone();
                let held = suppression::of(&mut tx, EMAIL, &address).await.unwrap();
                assert_eq!(held.len(), known.len(), "{address} is excluded for what was said");
                if let Some(it) = known.get(which % known.len().max(1)) {
                    let entry = entry_of(&mut tx, &address, *it).await;
                    suppression::lift(&mut tx, now, &WHO, entry).await.unwrap();
                    self.model().people[who].excluded.retain(|other| other != it);
                }
            }
            Word::Agreed(true) => {
                let (basis, source) = (Basis::Consent, "Lo dijo por teléfono".to_owned());
                let grant = Grant { channel: EMAIL, basis, source, obtained_on: day_of(now) };
                consent::grant(&mut tx, now, &WHO, id, &grant).await.unwrap();
                self.model().people[who].agreed = true;
            }
            Word::Agreed(false) => {
                consent::withdraw(&mut tx, now, &WHO, id, EMAIL, "Lo dijo por teléfono", None).await.unwrap();
                self.model().people[who].agreed = false;
            }
            Word::Wanted(kind, wanted) => {
                preferences::choose(&mut tx, now, &WHO, id, EMAIL, &[(kind.code(), wanted)]).await.unwrap();
                let declined = &mut self.model().people[who].declined;
                declined.retain(|it| *it != kind);
                declined.extend(Some(kind).filter(|_| !wanted));
            }
            Word::Rhythm(min_days, pause) => {
                let paused_until = pause.map(|days| day_of(now) + Days::new(days));
                let rhythm = Rhythm { min_days, paused_until };
                rhythm::say(&mut tx, now, id, EMAIL, rhythm, "Página de preferencias", None).await.unwrap();
                let person = &mut self.model().people[who];
                (person.min_days, person.paused_until) = (min_days, paused_until);
            }
            Word::Quiet(hours) => {
                let time = |hour| NaiveTime::from_hms_opt(hour, 30, 0).unwrap();
                let quiet = hours.map(|it| (time(it.0), time(it.1)));
                preferences::set_quiet_hours(&mut tx, now, &WHO, id, quiet).await.unwrap();
                self.model().people[who].quiet = quiet;
            }
            Word::Unsubscribed(which) | Word::Resubscribed(which) => {
                let Some(got) = self.one_of(who, which) else { return };
                let token: Uuid = sqlx::query_scalar("select token from communication_logs where id = $1")
                    .bind(got.message)
                    .fetch_one(&mut *tx)
                    .await
                    .unwrap();
                let holder = links::holder(&mut tx, token).await.unwrap();
                if matches!(word, Word::Unsubscribed(_)) {
                    links::unsubscribe(&mut tx, now, &holder).await.unwrap();
                    self.model().people[who].opts_out();
                } else {
                    links::resubscribe(&mut tx, now, &holder).await.unwrap();
                    let own = |it: &Excluded| it.reason == SuppressionReason::Unsubscribed;
                    let person = &mut self.model().people[who];
                    person.excluded.retain(|it| !own(it));
                    person.agreed = true;
                }
            }
            Word::Told(news, which) => {
                let Some(got) = self.one_of(who, which) else { return };
                self.tell(who, news, &got).await;
            }
            Word::Deleted => match departure::delete(&mut tx, now, &WHO, id).await {
                Ok(_) => self.model().people[who].deleted = true,
                // While a message to them is leaving, nothing is deleted.
                Err(Error::Refused(_)) => return,
                Err(error) => panic!("{error:?}"),
            },
            Word::Joined(_) => return,
        }
        tx.commit().await.unwrap();
    }

    /// All that the person number `who` ever said against messages is taken back.
    pub(super) async fn begin_anew(&self, who: usize) {
        let who = self.model().standing(who);
        while !self.model().people[who].deleted && !self.model().people[who].excluded.is_empty() {
            self.say(who, &Word::Lifted(0)).await;
        }
        let declined = self.model().people[who].declined.clone();
        for kind in declined {
            self.say(who, &Word::Wanted(kind, true)).await;
        }
        for word in [Word::Agreed(true), Word::Rhythm(None, None), Word::Quiet(None)] {
            self.say(who, &word).await;
        }
    }

    async fn exclude(&self, who: usize, it: Excluded, address: &str) {
        let now = self.now();
        let mut tx = self.db.begin().await.unwrap();
        if it.hashed {
            let addresses = [address.to_owned()];
            let list =
                Foreign { channels: &[EMAIL], addresses: &addresses, reason: it.reason, detail: "Lista" };
            suppression::exclude(&mut tx, now, &WHO, &list).await.unwrap();
        } else {
            let entry = Entry {
                channel: EMAIL,
                destination: address,
                scope: if it.all { Scope::All } else { Scope::Promotional },
                reason: it.reason,
                detail: None,
                message: None,
            };
            suppression::suppress(&mut tx, now, &WHO, &entry).await.unwrap();
        }
        tx.commit().await.unwrap();
        self.model().people[who].exclude(it);
    }

    /// A provider tells of what they got, and it is applied at once.
    async fn tell(&self, who: usize, news: News, got: &Got) {
        let kind = match news {
            News::Delivered => Kind::Delivered,
            News::Bounced => Kind::SoftBounce,
            News::Complained => Kind::Complaint,
            News::OptedOut => Kind::OptOut,
            News::Replied => Kind::Reply,
        };
        let mut report =
            Report::new(kind, Uuid::new_v4().to_string()).about([format!("<{}>", got.external_id).as_str()]);
        if matches!(news, News::Bounced) {
            report = report.said(None, Some("550 5.1.1 No existe")).bounced(None);
        }
        let mut db = self.db.acquire().await.unwrap();
        inbound::record(&mut db, self.now(), Source::Ses, &[report]).await.unwrap();
        drop(db);
        while inbound::run_once(&self.db, self.now()).await.unwrap() != Pass::Idle {}
        let person = &mut self.model().people[who];
        match news {
            News::Bounced => {
                person.exclude(Excluded { all: true, reason: SuppressionReason::HardBounce, hashed: false });
            }
            News::Complained => {
                person.exclude(Excluded { all: false, reason: SuppressionReason::Complaint, hashed: false });
                person.agreed = false;
            }
            News::OptedOut => person.opts_out(),
            News::Delivered | News::Replied => (),
        }
    }

    /// A subject that no other message has, of `kind`.
    fn subject(&self, kind: MessageType) -> String {
        let asked = &mut self.model().asked;
        let subject = format!("N.º {} {}", asked.len() + 1, kind.code());
        asked.insert(subject.clone(), kind);
        subject
    }

    /// The text of a campaign or of a mailing.
    fn source(&self, kind: MessageType) -> template::Source {
        let footer = DEFAULT_FOOTER.to_owned();
        let subject = self.subject(kind);
        self.model().to_all.insert(subject.clone());
        template::Source { subject, body: "Hola".to_owned(), footer, ..template::Source::default() }
    }

    /// A campaign over everybody; none: it reaches nobody, and can't start.
    pub(super) async fn campaign(&self, kind: MessageType, spacing_seconds: u32) -> Option<CampaignId> {
        let source = self.source(kind);
        let edit = Edit {
            name: source.subject.clone(),
            message_type: kind,
            source,
            spacing_seconds,
            ..Edit::default()
        };
        let mut tx = self.db.begin().await.unwrap();
        let id = campaign::create(&mut tx, self.now(), &WHO, &edit).await.unwrap();
        match launch::launch(&mut tx, self.now(), &WHO, &self.config, id, chrono::TimeDelta::zero()).await {
            Ok(_) => tx.commit().await.unwrap(),
            Err(Error::Refused(_)) => return None,
            Err(error) => panic!("{error:?}"),
        }
        Some(id)
    }

    /// A campaign over everybody that tries another text on most of them, of which at most `cap` leave a day.
    pub(super) async fn several(&self, kind: MessageType, cap: Option<u32>) {
        let source = self.source(kind);
        let (first, second) = (source.subject.clone(), self.subject(kind));
        let edit =
            Edit { name: first.clone(), message_type: kind, source, daily_cap: cap, ..Edit::default() };
        let plan = Plan {
            variants: vec![Variant { subject: second.clone(), opening: String::new() }],
            percent: 80,
            by: Measure::Replies,
            hours: 30,
        };
        let mut tx = self.db.begin().await.unwrap();
        let id = campaign::create(&mut tx, self.now(), &WHO, &edit).await.unwrap();
        variants::save(&mut tx, self.now(), &WHO, id, &plan).await.unwrap();
        match launch::launch(&mut tx, self.now(), &WHO, &self.config, id, chrono::TimeDelta::zero()).await {
            Ok(_) => tx.commit().await.unwrap(),
            Err(Error::Refused(_)) => return,
            Err(error) => panic!("{error:?}"),
        }
        let mut model = self.model();
        model.campaign_caps.extend(cap.map(|it| (first.clone(), usize::try_from(it).unwrap())));
        model.tried.insert(second, first);
    }

    /// So many promotions leave a day.
    pub(super) async fn cap(&self, cap: Option<u32>) {
        let mut tx = self.db.begin().await.unwrap();
        let before: EmailChannel = settings::load(&mut *tx, &self.config.first_values).await.unwrap();
        let channel = EmailChannel { daily_cap: cap, ..before };
        settings::save(&mut tx, self.now(), None, &channel).await.unwrap();
        tx.commit().await.unwrap();
        self.model().channel_cap = cap.map(|it| usize::try_from(it).unwrap());
    }

    /// The number `goes` turns out to be the number `stays`; gives whether they were two.
    pub(super) async fn join(&self, stays: usize, goes: usize) -> bool {
        let [stays, goes] = [stays, goes].map(|who| self.model().standing(who));
        if stays == goes || [stays, goes].iter().any(|who| self.model().people[*who].deleted) {
            return false;
        }
        let mut tx = self.db.begin().await.unwrap();
        let (kept, gone) = (self.ids[stays], self.ids[goes]);
        merge::merge(&mut tx, self.now(), &WHO, kept, gone, &BTreeSet::new()).await.unwrap();
        tx.commit().await.unwrap();
        self.model().join(stays, goes);
        true
    }

    /// Who of `bits` is still there.
    fn among(&self, bits: u8) -> Vec<ContactId> {
        let model = self.model();
        let there = |who: &usize| {
            bits >> who & 1 == 1 && !model.people[*who].deleted && model.people[*who].joined.is_none()
        };
        (0..self.ids.len()).filter(there).map(|who| self.ids[who]).collect()
    }

    /// Words of one's own to those of `bits`, by hand; none: to nobody.
    pub(super) async fn mailing(&self, bits: u8) -> Option<MailingId> {
        let among = self.among(bits);
        if among.is_empty() {
            return None;
        }
        let words = mailings::Words::Own(self.source(MessageType::Other));
        let draft = mailings::Draft { once: Uuid::new_v4(), words, shown: None, seen: None };
        let filter = Filter { among: Some(among.iter().map(|it| it.0).collect()), ..Filter::default() };
        let mut tx = self.db.begin().await.unwrap();
        let id = mailings::create(&mut tx, self.now(), &WHO, &self.config, &draft, &filter).await.unwrap();
        tx.commit().await.unwrap();
        while mailings::run::run_once(&self.db, self.now()).await.unwrap() {}
        Some(id)
    }

    /// What a step of a workflow sends, or what people asked for, to those of `bits`.
    pub(super) async fn ask(&self, kind: MessageType, bits: u8) {
        let (now, subject) = (self.now(), self.subject(kind));
        let mut tx = self.db.begin().await.unwrap();
        let template: i64 = sqlx::query_scalar(
            "insert into message_templates (communication_type, name, version, subject, body, body_format, footer, created_at)
             values ('EMAIL', $1, 1, $1, 'Hola', 'TEXT', 'Baja: {{ unsubscribe_url }}', $2) returning id",
        )
        .bind(&subject)
        .bind(now)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        let key = subject;
        let draft = outbox::Draft {
            origin: match kind {
                MessageType::Workflow => outbox::Origin::Workflow { step: 1, key },
                _ => outbox::Origin::Transactional { key },
            },
            channel: EMAIL,
            message_type: kind,
            template: TemplateId(template),
            required: &[],
            scheduled_at: now,
        };
        outbox::enqueue(&mut tx, now, &Actor::System, &draft, &self.among(bits)).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// The row of `it` on the list.
async fn entry_of(db: &mut PgConnection, address: &str, it: Excluded) -> i64 {
    sqlx::query_scalar(
        "select id from suppressions where lifted_at is null and scope = $2 and reason = $3 and (destination is null) = $4
             and (destination = $1 or address_hash = suppression_hash((select key from suppression_key), $1))",
    )
    .bind(address)
    .bind(if it.all { "ALL" } else { "PROMOTIONAL" })
    .bind(it.reason.code())
    .bind(it.hashed)
    .fetch_one(db)
    .await
    .unwrap()
}

impl Person {
    /// What the last run had found out of their address is written down.
    pub(super) fn settle(&mut self) {
        if std::mem::take(&mut self.found_dead) {
            self.exclude(Excluded { all: true, reason: SuppressionReason::HardBounce, hashed: false });
        }
        self.written = self.got.len();
    }

    /// No more promotions, by their own hand.
    fn opts_out(&mut self) {
        self.exclude(Excluded { all: false, reason: SuppressionReason::Unsubscribed, hashed: false });
        self.agreed = false;
    }
}
