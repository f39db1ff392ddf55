import { Findings, factsOf, groupBy, type Finding, type RunFiles } from './run-files';

/** G6: a conversation's events are numbered without a gap, and every subscriber gets them in that order. */
export function checkEventOrder(files: RunFiles): Finding {
  const found = new Findings('G6');
  for (const [conversation, events] of groupBy(files.final.outbox, (event) => event.conversation)) {
    events.forEach(({ seq, event }, i) =>
      found.expect(seq === i + 1, () => `${conversation}: event ${event} stands at ${i + 1} and is number ${seq}`),
    );
  }
  const places = new Map(files.final.outbox.map((event) => [event.event, event]));
  for (const [subscriber, deliveries] of groupBy(factsOf(files, 'event'), (fact) => fact.subscriber)) {
    const last = new Map<string, number>();
    const seen = new Set<string>();
    for (const { event, at } of deliveries) {
      const place = places.get(event);
      // What is delivered again after a reconnection is no inversion.
      if (!place || seen.has(event)) continue;
      seen.add(event);
      const before = last.get(place.conversation) ?? 0;
      found.expect(
        place.seq > before,
        () => `${subscriber}: ${place.conversation} number ${place.seq} came after number ${before}`,
        at,
      );
      last.set(place.conversation, Math.max(before, place.seq));
    }
  }
  return found.done();
}

/** G7: every committed event reaches every subscriber that was told of no gap, and nothing else does. */
export function checkDelivery(files: RunFiles): Finding {
  const found = new Findings('G7');
  const committed = files.final.outbox;
  const known = new Set(committed.map(({ event }) => event));
  const gaps = new Set(factsOf(files, 'gap').map(({ subscriber }) => subscriber));
  const bySubscriber = groupBy(factsOf(files, 'event'), (fact) => fact.subscriber);
  for (const [subscriber, deliveries] of bySubscriber) {
    const got = new Set(deliveries.map(({ event }) => event));
    for (const { event, type, at } of deliveries) {
      found.expect(known.has(event), () => `${subscriber} got ${type} ${event}, which was never committed`, at);
    }
    if (gaps.has(subscriber)) continue;
    const from = committed.findIndex(({ event }) => got.has(event));
    for (const { event, type, conversation, seq } of committed.slice(Math.max(from, 0))) {
      found.expect(got.has(event), () => `${subscriber} never got ${type} ${event} (${conversation} number ${seq})`);
    }
  }
  found.expect(bySubscriber.size > 0 || committed.length === 0, () => 'no subscriber got anything');
  return found.done({ gaps: gaps.size, events: committed.length });
}
