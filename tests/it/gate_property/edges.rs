//! What random sequences hardly come upon, held to the same model.

use super::{
    event::{Answer, Event, Handover, Word},
    sequences::Sequence,
};
use llovizna::{db::MIGRATIONS, messaging::kinds::MessageType};
use sqlx::PgPool;

/// Tuesday 1 September 2026, 10:30.
const START: &str = "2026-09-01T14:30:00Z";

async fn nobody_is_wronged(db: PgPool, events: &[Event]) {
    let mut sequence = Sequence::new(db, START).await;
    for event in events {
        sequence.happens(event).await;
    }
}

/// A run whose first message is in hand for so long, and while it is, something is said.
fn run(minutes: i64, said: Vec<(usize, Word)>) -> Event {
    Event::Run(vec![Handover { answer: Answer::Taken, said, minutes }])
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_message_that_left_late_in_the_evening_counts_for_that_local_day(db: PgPool) {
    let again = [Event::At(7, (12, 0)), Event::Campaign(MessageType::Newsletter), Event::Run(Vec::new())];
    let late = [Event::Campaign(MessageType::Promocional), run(12 * 60, Vec::new())];
    nobody_is_wronged(db, &[&late[..], &again].concat()).await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_cap_of_one_kind_holds_beside_those_of_all(db: PgPool) {
    let once = [Event::Campaign(MessageType::Reactivation), Event::Run(Vec::new()), Event::Opening(8)];
    nobody_is_wronged(db, &[&once[..], &once, &once].concat()).await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_wish_for_fewer_holds_though_it_is_said_at_the_instant_of_the_claim(db: PgPool) {
    let wish = (1..4).map(|who| (who, Word::Rhythm(Some(30), None))).collect();
    let events = [
        Event::Campaign(MessageType::Promocional),
        Event::Run(Vec::new()),
        Event::Opening(8),
        Event::Campaign(MessageType::Newsletter),
        run(0, wish),
    ];
    nobody_is_wronged(db, &events).await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn quiet_hours_that_are_set_while_a_message_is_in_hand_hold_for_it(db: PgPool) {
    let quiet = (1..4).map(|who| (who, Word::Quiet(Some((9, 12))))).collect();
    let events = [Event::Campaign(MessageType::Promocional), run(0, quiet), Event::Run(Vec::new())];
    nobody_is_wronged(db, &events).await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_was_two_gets_one_of_a_campaign_in_whichever_of_its_words_however_many_days_it_takes(db: PgPool) {
    let joined = [Event::Joined(0, 1), Event::Joined(3, 2), Event::Joined(3, 4)];
    let day = [Event::Run(Vec::new()), Event::Opening(1)];
    // Nothing else holds back a second one; one a day leaves, so that some have theirs before they turn out to be one.
    let begun = [Event::Cap(11, 2), Event::Several(MessageType::Promocional, Some(1))];
    let mut events = [&begun[..], &day, &day].concat();
    for it in joined {
        events.push(it);
        events.extend(day.clone());
    }
    for _ in 0..4 {
        events.extend(day.clone());
    }
    nobody_is_wronged(db, &events).await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn no_more_leave_in_a_day_than_the_channel_may_whoever_asks(db: PgPool) {
    let day = [Event::Run(Vec::new()), Event::Mailing(u8::MAX), Event::Run(Vec::new()), Event::Opening(1)];
    let begun = [
        Event::Cap(11, 2),
        Event::ChannelCap(Some(2)),
        Event::Campaign(MessageType::Newsletter),
        Event::Several(MessageType::Promocional, None),
    ];
    nobody_is_wronged(db, &[&begun[..], &day, &[Event::ChannelCap(Some(3))], &day, &day].concat()).await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_pause_of_either_of_two_who_are_one_holds_for_both(db: PgPool) {
    let paused = Event::Said(2, Word::Rhythm(None, Some(10)));
    let events =
        [paused, Event::Joined(1, 2), Event::Campaign(MessageType::Promocional), Event::Run(Vec::new())];
    nobody_is_wronged(db, &events).await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_pause_of_who_turns_out_to_be_them_holds_for_a_message_that_is_in_hand(db: PgPool) {
    // The second is let go with the first, and joined while the first is handed over.
    let joined = vec![(1, Word::Joined(2))];
    let events = [
        Event::Said(2, Word::Rhythm(None, Some(10))),
        Event::Campaign(MessageType::Promocional),
        run(0, joined),
        Event::Run(Vec::new()),
    ];
    nobody_is_wronged(db, &events).await;
}
