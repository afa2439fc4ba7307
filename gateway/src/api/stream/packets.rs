//! The body of a response that is made while it is sent.
//!
//! The evaluation must not wait for the network, on a thread that others need: what does not fit
//! into the queue it keeps, and hands over at its end. An answer is bounded, so is what is kept.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::body::Frame;
use prost::Message;
use tokio::sync::mpsc;

use super::{Told, frame};
use crate::api::CancelOnDrop;
use crate::api::error::Fault;
use crate::api::hint::{HINT_HEADER, PARTIAL_HEADER, escaped};

/// Where messages go.
#[derive(Debug)]
pub(super) struct Sending {
    queue: mpsc::Sender<Bytes>,
    kept: VecDeque<Bytes>,
}

impl Sending {
    pub(super) const fn new(queue: mpsc::Sender<Bytes>) -> Self {
        Self { queue, kept: VecDeque::new() }
    }

    /// Sends a message, or keeps it for later.
    pub(super) fn message(&mut self, message: &impl Message) {
        self.kept.push_back(frame::framed(message));
        while let Some(next) = self.kept.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(next)) = self.queue.try_send(next) {
                self.kept.push_front(next);
                return;
            }
        }
    }

    /// Sends a message that says all that the ones before it said: those of them that still wait
    /// are not sent any more.
    pub(super) fn whole(&mut self, message: &impl Message) {
        self.kept.clear();
        self.message(message);
    }

    /// What is left to be sent.
    pub(super) fn end(self, told: Result<Told, Fault>) -> End {
        End { rest: self.kept, told }
    }
}

/// How an evaluation ended.
#[derive(Debug)]
pub(super) struct End {
    rest: VecDeque<Bytes>,
    told: Result<Told, Fault>,
}

impl End {
    pub(super) const fn failed(fault: Fault) -> Self {
        Self { rest: VecDeque::new(), told: Err(fault) }
    }

    /// What went wrong, if anything did.
    pub(super) const fn fault(&self) -> Option<&Fault> {
        match &self.told {
            Ok(_) => None,
            Err(fault) => Some(fault),
        }
    }

    /// The status that HTTP would have.
    pub(super) fn status(&self) -> StatusCode {
        self.told.as_ref().map_or_else(Fault::status, |_| StatusCode::OK)
    }
}

/// The body.
pub(super) struct Packets {
    messages: mpsc::Receiver<Bytes>,
    state: State,
    _unwanted: CancelOnDrop,
}

enum State {
    Running(Pin<Box<dyn Future<Output = End> + Send>>),
    Ended(End),
    Over,
}

impl fmt::Debug for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packets").finish_non_exhaustive()
    }
}

impl Packets {
    pub(super) fn new(
        messages: mpsc::Receiver<Bytes>,
        end: Pin<Box<dyn Future<Output = End> + Send>>,
        unwanted: CancelOnDrop,
    ) -> Self {
        Self { messages, state: State::Running(end), _unwanted: unwanted }
    }
}

impl hyper::body::Body for Packets {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        // It starts when it is first polled.
        if let State::Running(end) = &mut this.state
            && let Poll::Ready(end) = end.as_mut().poll(context)
        {
            this.state = State::Ended(end);
        }
        if let Poll::Ready(Some(message)) = this.messages.poll_recv(context) {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        match &mut this.state {
            State::Running(_) => Poll::Pending,
            State::Over => Poll::Ready(None),
            State::Ended(end) => {
                let frame = match end.rest.pop_front() {
                    Some(message) => Frame::data(message),
                    None => {
                        let trailers = trailers(end.told.as_ref());
                        this.state = State::Over;
                        Frame::trailers(trailers)
                    }
                };
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What the last headers say.
pub(super) fn trailers(told: Result<&Told, &Fault>) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(3);
    let (code, message) = told.map_or_else(Fault::grpc, |_| (0, ""));
    trailers.insert(GRPC_STATUS, HeaderValue::from(code));
    let mut put = |name: HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::try_from(escaped(text))
            && !text.is_empty()
        {
            trailers.insert(name, value);
        }
    };
    put(GRPC_MESSAGE, message);
    match told {
        Ok(told) => {
            put(PARTIAL_HEADER, told.partial.as_deref().unwrap_or_default());
            put(HINT_HEADER, &told.hints);
        }
        Err(fault) => trailers.extend(fault.details()),
    }
    trailers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::pb::QueryRangeResponse;
    use crate::compute;

    #[test]
    fn who_may_ask_again_is_told_when() {
        let details = |fault| trailers(Err(&fault)).contains_key("grpc-status-details-bin");
        let told = trailers(Err(&Fault::from(compute::Error::Crowded)));
        assert_eq!(told.get(GRPC_STATUS).unwrap(), "8");
        assert!(details(Fault::from(compute::Error::Crowded)));
        assert!(details(Fault::from(compute::Error::Full)));
        assert!(!details(Fault::invalid("a query that is none")));
    }

    #[test]
    fn of_messages_that_say_all_only_the_last_one_waits() {
        let (queue, mut messages) = mpsc::channel(1);
        let mut sending = Sending::new(queue);
        let message =
            |text: &str| QueryRangeResponse { message: text.into(), ..Default::default() };
        for text in ["one", "two", "three"] {
            sending.whole(&message(text));
        }
        assert_eq!(messages.try_recv().unwrap(), frame::framed(&message("one")));
        let End { rest, .. } = sending.end(Ok(Told::default()));
        assert_eq!(rest, [frame::framed(&message("three"))]);
    }
}
