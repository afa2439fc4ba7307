//! A trace is read as what all rows have of it, whatever is stepped over on the way.

use super::*;

/// Requests whose spans are of many traces, with values that make a dictionary worth keeping.
fn scattered(mut requests: Vec<ExportTraceServiceRequest>) -> Vec<ExportTraceServiceRequest> {
    let groups = requests.iter_mut().flat_map(|request| &mut request.resource_spans);
    let spans = groups.flat_map(|group| &mut group.scope_spans).flat_map(|scope| &mut scope.spans);
    for (number, span) in (0u8..).zip(spans) {
        span.trace_id = id(&[1; 16], number % 40);
        let text = format!("{:0200}", number % 30);
        span.attributes.push(KeyValue {
            key: "long".to_owned(),
            value: Some(AnyValue { value: Some(Value::StringValue(text)) }),
            key_strindex: 0,
        });
    }
    requests
}

/// The spans of a trace in a batch.
fn of_trace(batch: &Batch, id: TraceId) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for row in (0..u32::try_from(batch.len()).unwrap()).filter(|row| batch.trace_id(*row) == id) {
        let mut traces = Traces::new();
        traces.push(batch, row);
        all.push(traces.encode());
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn few_rows_are_read_as_they_are_among_all(
        requests in prop::collection::vec(request(), 4..8), page_rows in 1u32..60,
        bytes_max in prop::sample::select(vec![0usize, 40_000, 1 << 20]),
    ) {
        let (bytes, _) = write(&batch(&scattered(requests)), u32::MAX, page_rows);
        let cache = Arc::new(Cache::new(bytes_max));
        let file = Arc::new(Bytes(bytes));
        let reader = Reader::open_file(file, "the block".to_owned(), cache).unwrap();
        if reader.row_groups() == 0 {
            return Ok(());
        }
        let rows = reader.rows_of(0);
        let all = reader.read(0, rows, Wanted::All, &tenant(), Indexed::No).unwrap();
        // The second time with what the first has left in the cache.
        for trace in reader.summary(0).unwrap().traces.iter().chain(&reader.summary(0).unwrap().traces) {
            let part = trace.first_row..trace.first_row + trace.rows;
            let few = reader.read(0, part.clone(), Wanted::All, &tenant(), Indexed::No).unwrap();
            prop_assert_eq!(of_trace(&few, trace.id), of_trace(&all, trace.id));
            for (row, among_all) in (0..).zip(part) {
                prop_assert_eq!(few.effective_start(row), all.effective_start(among_all));
            }
        }
    }
}
