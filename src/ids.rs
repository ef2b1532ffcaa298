//! Typed row ids, so that a campaign's id cannot be passed where a contact's is meant.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
            serde::Serialize, serde::Deserialize, sqlx::Type,
        )]
        #[serde(transparent)]
        #[sqlx(transparent, no_pg_array)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
    )*};
}

ids! {
    /// A company in the address book.
    CompanyId,
    /// A person in the address book.
    ContactId,
    /// One change to many people.
    BulkActionId,
    /// An uploaded file and what became of it.
    ImportId,
    /// One text to one audience.
    CampaignId,
    /// One immutable version of a text.
    TemplateId,
    /// A template of the library, whatever its version.
    LibraryId,
    /// One text to people chosen by hand.
    MailingId,
    /// Texts asked of an artificial intelligence for a campaign.
    CopyRequestId,
    /// One text that it proposed.
    ProposalId,
    /// One message to one address: a row of `communication_logs`.
    MessageId,
    /// One pass of the drip.
    DripRunId,
    /// A tag that says what people care about.
    InterestId,
    /// An entry of the log: a call, a meeting, a note.
    InteractionId,
    /// A column of the pipeline.
    StageId,
    /// Something that somebody on the staff is to do.
    TaskId,
    /// A person who signs in to the panel.
    StaffId,
    /// A rule about people, kept under a name.
    SegmentId,
    /// A set of people that somebody put together.
    ListId,
}
