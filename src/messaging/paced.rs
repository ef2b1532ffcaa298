//! Campaigns that ask for time between two of their messages: each goes at its own
//! pace beside the others of a run, so that nobody waits for who goes slowly. And the rate that a channel is set to.

use super::{
    claim::Claimed,
    lanes::{Begun, Shared},
};
use crate::error::Result;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

impl Shared {
    /// Begin the messages of one campaign one after the other: the next `spacing` seconds after the last was begun, and
    /// not before that one is handed over. Those whose turn does not come in this run go back when it ends.
    pub(super) async fn begin_paced(
        self: Arc<Self>,
        waiting: Vec<Claimed>,
        spacing: u32,
        ready: mpsc::Sender<Begun>,
    ) -> Result<()> {
        let mut turn = Instant::now();
        for claimed in waiting {
            self.wait_for(turn).await;
            self.wait_for_slot().await;
            if self.is_over() {
                break;
            }
            let begun = self.begin(vec![claimed]).await.inspect_err(|_| self.stop.cancel())?;
            for (claimed, email) in begun {
                turn = Instant::now() + Duration::from_secs(u64::from(spacing));
                let (handed_over, gone) = oneshot::channel();
                self.pass_on(claimed, email, Some(handed_over), &ready).await?;
                // Nothing is ever sent through it: it closes.
                gone.await.ok();
            }
        }
        Ok(())
    }

    /// Until the next message may be begun, where the channel's rate is set: one after the other, whoever asks.
    pub(super) async fn wait_for_slot(&self) {
        let Some(per_minute) = self.pace.per_minute.filter(|it| *it > 0) else { return };
        let mut next = self.slot.lock().await;
        self.wait_for(*next).await;
        *next = Instant::now() + Duration::from_mins(1) / per_minute;
    }

    /// Until `turn`, the run's deadline, or its end.
    async fn wait_for(&self, turn: Instant) {
        let until = self.deadline.map_or(turn, |it| it.min(turn));
        tokio::select! {
            () = tokio::time::sleep_until(until) => (),
            () = self.stop.cancelled() => (),
        }
    }
}
