//! gRPC's framing of messages, and messages in parts that clients take.

use bytes::Bytes;
use prost::Message;

use crate::api::error::Fault;
use crate::api::pb::{QueryInstantResponse, QueryRangeResponse, SearchResponse, Trace};
use crate::receiver::Buffers;
use crate::receiver::decode::{Coding, Room, inflate};
use crate::receiver::reply;

/// What one message of many may take.
pub(super) const PACKET_BYTES_MAX: usize = 1 << 20;

/// What clients take at most (4 MiB unless they were told otherwise), with some room.
const MESSAGE_BYTES_MAX: usize = (4 << 20) - (64 << 10);

const PREFIX_BYTES: usize = 5;

/// The one message of a request, which is compressed as `grpc-encoding` says if its flag says that
/// it is. Computes.
///
/// # Errors
/// Says what is wrong with the framing or the coding, or that it is too large.
pub(super) fn message(body: &Bytes, coding: Coding, bytes_max: usize) -> Result<Bytes, Fault> {
    let Some((prefix, message)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(Fault::invalid("the gRPC message ends in its prefix"));
    };
    let [flag, length @ ..] = *prefix;
    if u32::from_be_bytes(length) as usize != message.len() {
        return Err(Fault::invalid("the gRPC message is not as long as its prefix says"));
    }
    match (flag, coding) {
        (0, _) => Ok(body.slice(PREFIX_BYTES..)),
        (1, Coding::Identity) => {
            let words = "the gRPC message is compressed, but grpc-encoding does not say how";
            Err(Fault::invalid(words))
        }
        (1, coding) => {
            let unpacked = inflate(coding, message, bytes_max, &mut Small, &Buffers::default())?;
            Ok(unpacked.into())
        }
        _ => Err(Fault::invalid("the gRPC message flag is neither 0 nor 1")),
    }
}

/// Room for a request, which is small: nothing is asked for it.
struct Small;

impl Room for Small {
    fn take(&mut self, _: usize) -> Result<(), reply::Fault> {
        Ok(())
    }
}

/// A message with its prefix.
pub(super) fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = Vec::with_capacity(PREFIX_BYTES + length);
    framed.push(0);
    framed.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend(message.encode_to_vec());
    framed.into()
}

/// Things in lists of at most a packet each; at least one list.
pub(super) fn lists<T>(items: Vec<T>, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut lists = Vec::new();
    let (mut list, mut bytes) = (Vec::new(), 0);
    for item in items {
        let more = size(&item) + ITEM_BYTES;
        if bytes + more > PACKET_BYTES_MAX && !list.is_empty() {
            lists.push(std::mem::take(&mut list));
            bytes = 0;
        }
        bytes += more;
        list.push(item);
    }
    lists.push(list);
    lists
}

/// What a list adds to each of its things: a tag and a length.
const ITEM_BYTES: usize = 6;

/// The traces of a message in messages of at most a packet each.
pub(super) fn searched(response: SearchResponse) -> Vec<SearchResponse> {
    let metrics = response.metrics;
    // The numbers take some bytes, too.
    let traces: Vec<Trace> = response.traces.into_iter().map(short).collect();
    let lists = lists(traces, Message::encoded_len);
    lists.into_iter().map(|traces| SearchResponse { traces, metrics }).collect()
}

/// A trace that fits into a packet: with fewer spans, if need be. `matched` tells that there are
/// more.
fn short(mut trace: Trace) -> Trace {
    let room = PACKET_BYTES_MAX / 2;
    while trace.encoded_len() > room {
        let longest = trace.span_sets.iter().map(|set| set.spans.len()).max().unwrap_or(0);
        if longest <= 1 {
            break;
        }
        for set in trace.span_sets.iter_mut().chain(&mut trace.span_set) {
            set.spans.truncate(longest / 2);
        }
    }
    trace
}

/// Series in one message, since clients keep only the last one: what does not fit is left out, and
/// the message says so.
pub(super) fn ranged(mut response: QueryRangeResponse) -> QueryRangeResponse {
    let all = response.series.len();
    let kept = fitting(response.series.iter().map(Message::encoded_len));
    if kept < all {
        response.series.truncate(kept);
        (response.status, response.message) = left_out(all - kept, &response.message);
    }
    response
}

/// Numbers in one message.
pub(super) fn instant(mut response: QueryInstantResponse) -> QueryInstantResponse {
    let all = response.series.len();
    let kept = fitting(response.series.iter().map(Message::encoded_len));
    if kept < all {
        response.series.truncate(kept);
        (response.status, response.message) = left_out(all - kept, &response.message);
    }
    response
}

/// How many of these sizes go into one message.
fn fitting(sizes: impl Iterator<Item = usize>) -> usize {
    let mut sum = 0usize;
    let fits = |size: &usize| {
        sum = sum.saturating_add(size + ITEM_BYTES);
        sum <= MESSAGE_BYTES_MAX
    };
    sizes.take_while(fits).count()
}

fn left_out(series: usize, why: &str) -> (i32, String) {
    let words = format!("{series} series are left out: they do not fit into one message");
    let message = if why.is_empty() { words } else { format!("{words}; {why}") };
    (crate::api::pb::PartialStatus::Partial.into(), message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::pb::{Sample, Span, SpanSet, TimeSeries};

    #[test]
    fn a_request_is_one_message() {
        let framed = framed(&SearchResponse::default());
        let read = |body: &Bytes, coding| message(body, coding, 100);
        assert_eq!(read(&framed, Coding::Gzip).unwrap(), Bytes::new());
        for (body, word) in [
            (&[0, 0, 0][..], "prefix"),
            (&[1, 0, 0, 0, 0], "does not say how"),
            (&[7, 0, 0, 0, 0], "flag"),
            (&[0, 0, 0, 0, 2, 1], "as long as"),
            (&[0, 0, 0, 0, 0, 1], "as long as"),
        ] {
            let fault = read(&Bytes::copy_from_slice(body), Coding::Identity).unwrap_err();
            assert!(fault.to_string().contains(word), "{fault}");
        }
        let packed = |bytes: &[u8]| {
            let packed = zstd::bulk::compress(bytes, 1).unwrap();
            let length = u32::try_from(packed.len()).unwrap().to_be_bytes();
            Bytes::from([&[1], length.as_slice(), packed.as_slice()].concat())
        };
        assert_eq!(read(&packed(&[7; 100]), Coding::Zstd).unwrap(), vec![7; 100]);
        let fault = read(&packed(&[7; 101]), Coding::Zstd).unwrap_err();
        assert_eq!(fault.grpc().0, 3, "a bomb is refused: {fault}");
        let fault = read(&packed(&[7; 9]), Coding::Gzip).unwrap_err();
        assert_eq!(fault.grpc().0, 3, "{fault}");
    }

    fn trace(spans: usize, name: usize) -> Trace {
        let span = Span { name: "n".repeat(name), ..Span::default() };
        let set = SpanSet { spans: vec![span; spans], matched: 1_000, attributes: Vec::new() };
        let set = Some(set);
        Trace { span_set: set.clone(), span_sets: set.into_iter().collect(), ..Trace::default() }
    }

    #[test]
    fn traces_come_in_packets() {
        let all = SearchResponse { traces: vec![trace(10, 10_000); 30], metrics: None };
        let packets = searched(all);
        assert!(packets.len() > 5);
        assert_eq!(packets.iter().map(|packet| packet.traces.len()).sum::<usize>(), 30);
        assert!(packets.iter().all(|packet| packet.encoded_len() <= PACKET_BYTES_MAX));
        assert_eq!(searched(SearchResponse::default()), [SearchResponse::default()]);
    }

    #[test]
    fn a_huge_trace_loses_spans() {
        let packets = searched(SearchResponse { traces: vec![trace(100, 100_000)], metrics: None });
        assert_eq!(packets.len(), 1);
        let set = &packets[0].traces[0].span_sets[0];
        assert!(!set.spans.is_empty() && set.spans.len() < 100 && set.matched == 1_000);
        assert!(packets[0].encoded_len() <= PACKET_BYTES_MAX);
    }

    #[test]
    fn series_are_one_message() {
        let samples = vec![Sample { timestamp_ms: 1 << 40, value: 0.1 }; 10_000];
        let series = TimeSeries { samples, ..TimeSeries::default() };
        let response = QueryRangeResponse { series: vec![series; 30], ..Default::default() };
        let short = ranged(response);
        assert!(short.encoded_len() < 4 << 20 && short.series.len() > 10);
        assert_eq!(short.status, 1);
        assert!(short.message.contains("left out"), "{}", short.message);
    }
}
