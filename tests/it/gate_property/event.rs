//! What may happen, and how often it is tried.

use llovizna::messaging::kinds::{MessageType, SuppressionReason};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// People of one sequence.
pub(super) const PEOPLE: usize = 6;

/// Single steps and weeks of one.
const PARTS: usize = 60;

/// What a person says, or what is said or known of them.
#[derive(Clone, Debug)]
pub(super) enum Word {
    /// Their address is put on the list: all or promotions, why, as a hash.
    Excluded(bool, SuppressionReason, bool),
    /// One entry of the list is taken off.
    Lifted(usize),
    /// A yes with its basis, or its withdrawal.
    Agreed(bool),
    /// A kind is wanted or not.
    Wanted(MessageType, bool),
    /// At most one in so many days, and none for so many.
    Rhythm(Option<u32>, Option<u64>),
    /// Hours of the day at which nothing is wanted.
    Quiet(Option<(u32, u32)>),
    /// The one click, in one of the messages that they got.
    Unsubscribed(usize),
    /// They come back by the page of one of them.
    Resubscribed(usize),
    /// One of them is told of.
    Told(News, usize),
    /// They are deleted.
    Deleted,
    /// The person of this number turns out to be them.
    Joined(usize),
}

/// What comes back of a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum News {
    Delivered,
    Bounced,
    Complained,
    OptedOut,
    Replied,
}

/// What the server says to a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Taken,
    Later,
    Dead,
    /// The line is cut before it says anything.
    CutOff,
}

/// One message is handed over: what the server says, who says what meanwhile, and how many minutes it takes.
#[derive(Clone, Debug)]
pub(super) struct Handover {
    pub(super) answer: Answer,
    pub(super) said: Vec<(usize, Word)>,
    pub(super) minutes: i64,
}

/// One step.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// Time goes on.
    Minutes(i64),
    /// It is so many days later, or the next day, at this hour and minute.
    At(u64, (u32, u32)),
    /// So many days later the window is open: then, or on the first day on which it is.
    Opening(u64),
    Said(usize, Word),
    /// All that somebody ever said against messages is taken back.
    Anew(usize),
    /// The business sets what was its cap of one a week.
    Cap(u32, u32),
    /// A campaign over everybody.
    Campaign(MessageType),
    /// One that tries another text on most of them, and leaves to so many a day.
    Several(MessageType, Option<u32>),
    /// The channel's promotions a day.
    ChannelCap(Option<u32>),
    /// Two turn out to be one: the first of them stays.
    Joined(usize, usize),
    /// By hand, to those whose bit is set.
    Mailing(u8),
    /// A step of a workflow, or something that they asked for.
    Asked(MessageType, u8),
    /// A run; nothing else happens meanwhile where the list is empty.
    Run(Vec<Handover>),
}

fn word() -> impl Strategy<Value = Word> {
    use SuppressionReason as Why;
    let kinds = vec![
        MessageType::Promocional,
        MessageType::Newsletter,
        MessageType::Reactivation,
        MessageType::Workflow,
        MessageType::Other,
        MessageType::SatisfactionSurvey,
    ];
    let reasons = vec![Why::Unsubscribed, Why::HardBounce, Why::Complaint, Why::Manual, Why::NoMolestar];
    let news = vec![News::Delivered, News::Bounced, News::Complained, News::OptedOut, News::Replied];
    prop_oneof![
        3 => (any::<bool>(), select(reasons), any::<bool>())
            .prop_map(|(all, why, hashed)| Word::Excluded(all && !hashed, why, hashed)),
        8 => any::<usize>().prop_map(Word::Lifted),
        1 => Just(Word::Agreed(false)),
        5 => Just(Word::Agreed(true)),
        2 => select(kinds.clone()).prop_map(|it| Word::Wanted(it, false)),
        3 => select(kinds).prop_map(|it| Word::Wanted(it, true)),
        2 => (option::of(2..60_u32), option::weighted(0.4, 1..45_u64)).prop_map(|(often, pause)| Word::Rhythm(often, pause)),
        2 => Just(Word::Rhythm(None, None)),
        1 => (0..24_u32, 0..24_u32).prop_map(|it| Word::Quiet(Some(it).filter(|it| it.0 != it.1))),
        1 => Just(Word::Quiet(None)),
        1 => any::<usize>().prop_map(Word::Unsubscribed),
        4 => any::<usize>().prop_map(Word::Resubscribed),
        3 => (select(news), any::<usize>()).prop_map(|(it, which)| Word::Told(it, which)),
    ]
}

/// Of the words, those that stop something.
fn no() -> impl Strategy<Value = Word> {
    word().prop_filter("a yes", |it| {
        !matches!(
            it,
            Word::Lifted(_)
                | Word::Agreed(true)
                | Word::Wanted(_, true)
                | Word::Rhythm(None, None)
                | Word::Quiet(None)
                | Word::Resubscribed(_)
        )
    })
}

fn handover() -> impl Strategy<Value = Handover> {
    let answer = prop_oneof![
        12 => Just(Answer::Taken), 1 => Just(Answer::Later), 1 => Just(Answer::Dead), 1 => Just(Answer::CutOff)
    ];
    let minutes = prop_oneof![6 => Just(0), 2 => 1..120_i64, 1 => 120..60 * 30_i64];
    let said = prop_oneof![3 => vec((0..PEOPLE, no()), 0..4), 1 => vec((0..PEOPLE, word()), 0..3)];
    (answer, said, minutes).prop_map(|(answer, said, minutes)| Handover { answer, said, minutes })
}

fn event() -> impl Strategy<Value = Event> {
    let clocks =
        vec![(9, 0), (10, 30), (12, 0), (15, 45), (17, 59), (18, 0), (8, 59), (23, 59), (0, 0), (0, 30)];
    let of_campaigns = vec![
        MessageType::Promocional,
        MessageType::Promocional,
        MessageType::Newsletter,
        MessageType::Reactivation,
        MessageType::FollowUp,
    ];
    let asked_for = vec![MessageType::Workflow, MessageType::Transactional, MessageType::SatisfactionSurvey];
    prop_oneof![
        2 => (1..60 * 30_i64).prop_map(Event::Minutes),
        4 => (0..4_u64, select(vec![(10, 30), (12, 0)])).prop_map(|(days, clock)| Event::At(days, clock)),
        3 => (0..8_u64, select(clocks)).prop_map(|(days, clock)| Event::At(days, clock)),
        10 => (0..PEOPLE, word()).prop_map(|(who, it)| Event::Said(who, it)),
        1 => (1..4_u32, 2..12_u32).prop_map(|(most, days)| Event::Cap(most, days)),
        3 => select(of_campaigns).prop_map(Event::Campaign),
        2 => any::<u8>().prop_map(Event::Mailing),
        3 => (select(asked_for), any::<u8>()).prop_map(|(kind, whom)| Event::Asked(kind, whom)),
        6 => Just(Event::Run(Vec::new())),
        5 => vec(handover(), 1..6).prop_map(Event::Run),
    ]
}

/// A week in which most people want messages again, and some say no while theirs is about to leave.
fn week() -> impl Strategy<Value = Vec<Event>> {
    let of_campaigns = vec![MessageType::Promocional, MessageType::Newsletter, MessageType::FollowUp];
    let wants = vec(prop::bool::weighted(0.7), PEOPLE);
    let said = vec((0..PEOPLE, word()), 0..3);
    (6..10_u64, wants, said, select(of_campaigns), any::<[u8; 3]>(), vec(handover(), 1..6)).prop_map(
        |(days, wants, said, kind, bits, handovers)| {
            let mut all = vec![Event::Opening(days)];
            all.extend(wants.iter().enumerate().filter(|it| *it.1).map(|(who, _)| Event::Anew(who)));
            all.extend(said.into_iter().map(|(who, it)| Event::Said(who, it)));
            all.extend([
                Event::Campaign(kind),
                Event::Asked(MessageType::Workflow, bits[0]),
                Event::Asked(MessageType::Workflow, bits[1] & bits[2]),
                Event::Run(handovers),
                Event::Run(Vec::new()),
            ]);
            all
        },
    )
}

/// A sequence, in the second half of which somebody is deleted, be it while a run goes on.
pub(super) fn sequence() -> impl Strategy<Value = Vec<Event>> {
    let part = prop_oneof![4 => event().prop_map(|it| vec![it]), 1 => week()];
    (vec(part, PARTS), 0..PEOPLE, PARTS / 2..PARTS, any::<bool>()).prop_map(
        |(mut parts, who, place, in_a_run)| {
            let said = vec![(who, Word::Deleted)];
            parts[place].push(if in_a_run {
                Event::Run(vec![Handover { answer: Answer::Taken, said, minutes: 0 }])
            } else {
                Event::Said(who, Word::Deleted)
            });
            parts.concat()
        },
    )
}

/// A sequence in which campaigns try several texts and are capped by the day, as the channel is, and people turn out to be one.
pub(super) fn crowded() -> impl Strategy<Value = Vec<Event>> {
    let kinds = || select(vec![MessageType::Promocional, MessageType::Newsletter, MessageType::FollowUp]);
    let several =
        (kinds(), option::weighted(0.7, 1..3_u32)).prop_map(|(kind, cap)| Event::Several(kind, cap));
    let capped = option::weighted(0.6, 2..5_u32).prop_map(Event::ChannelCap);
    let joined = (0..PEOPLE, 0..PEOPLE).prop_map(|(stays, goes)| Event::Joined(stays, goes));
    let joined = option::weighted(0.4, joined);
    // A week, within which two of its people turn out to be one, and whose last days go by run by run.
    let of_one = (week(), several.boxed(), capped.boxed(), joined.boxed(), vec(0..3_u64, 1..5));
    let rich = of_one.prop_map(|(mut all, several, capped, joined, days)| {
        // What else they get in that week would use up what they may get.
        all.retain(|it| !matches!(it, Event::Campaign(_) | Event::Asked(..)));
        let run = all.iter().position(|it| matches!(it, Event::Run(_))).unwrap_or(all.len());
        all.splice(run..run, std::iter::once(several).chain(joined));
        all.insert(0, capped);
        for days in days {
            all.extend([Event::Opening(days + 1), Event::Run(Vec::new())]);
        }
        all
    });
    let part = prop_oneof![3 => event().prop_map(|it| vec![it]), 2 => rich];
    vec(part, PARTS / 3).prop_map(|parts| parts.concat())
}
