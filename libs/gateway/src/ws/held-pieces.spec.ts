import fc from 'fast-check';
import { HeldPieces, type Piece } from './held-pieces';
import type { FleetingEvent } from './reply-pieces';

const piece = (type: FleetingEvent['type'], payload: FleetingEvent['payload']): Piece => ({
  tenantId: 't',
  agentKey: 'default',
  event: { type, payload },
});
const ui = (stream_id: string, chunk: object): Piece => piece('chat.ui-message.stream', { stream_id, chunk });
const text = (stream_id: string, delta: string, id = 'x'): Piece => ui(stream_id, { type: 'text-delta', id, delta });
const delta = (message_id: string, words: string): Piece => piece('message.delta', { message_id, delta: words });
const typing = (on: boolean, conversation_id = 'c'): Piece =>
  piece(on ? 'typing.started' : 'typing.stopped', { conversation_id });

function heldOf(pieces: readonly Piece[]): Piece[] {
  const held = new HeldPieces();
  for (const one of pieces) held.add(one);
  return held.take();
}

describe('HeldPieces', () => {
  it('makes one piece of the deltas of one part of one reply', () => {
    const all = [text('a', 'He'), delta('a', 'He'), text('b', '?'), text('a', 'llo'), delta('a', 'llo')];
    expect(heldOf(all)).toEqual([text('a', 'Hello'), delta('a', 'Hello'), text('b', '?')]);
  });

  it('lets nothing join across what is no delta of the same part', () => {
    const [tool, end] = [ui('a', { type: 'tool-input-available' }), ui('a', { type: 'finish' })];
    const all = [text('a', '1'), text('a', '2', 'y'), text('a', '3'), tool, text('a', '4'), text('a', '5'), end];
    expect(heldOf(all)).toEqual([text('a', '1'), text('a', '2', 'y'), text('a', '3'), tool, text('a', '45'), end]);
  });

  it('keeps the last word on who is typing', () => {
    expect(heldOf([typing(true), typing(true, 'd'), text('a', 'x'), typing(false)])).toEqual([
      typing(true, 'd'),
      text('a', 'x'),
      typing(false),
    ]);
  });

  it('is empty once it was taken, and counts what it holds', () => {
    const held = new HeldPieces();
    for (const on of [true, false, true]) held.add(typing(on));
    const once = held.bytes;
    held.add(text('a', 'é'));
    held.add(text('a', 'éé'));
    expect(held.bytes).toBeGreaterThan(once + 6);
    expect(held.take()).toHaveLength(2);
    expect([held.bytes, held.isEmpty, held.take()]).toEqual([0, true, []]);
  });

  it('says the same whatever is held, and when it is let go', () => {
    const said = (pieces: readonly Piece[], id: string): string =>
      pieces
        .map(({ event: { payload } }) => payload as { stream_id?: string; chunk?: { delta?: string; type: string } })
        .filter(({ stream_id }) => stream_id === id)
        .map(({ chunk }) => chunk?.delta ?? `<${chunk?.type}>`)
        .join('');
    const any = fc.oneof(
      fc.tuple(fc.constantFrom('a', 'b'), fc.string()).map(([id, words]) => text(id, words)),
      fc.constantFrom('a', 'b').map((id) => ui(id, { type: 'tool' })),
      fc.boolean().map((on) => typing(on)),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(any, fc.boolean())), (pieces) => {
        const held = new HeldPieces();
        const sent: Piece[] = [];
        for (const [one, letGo] of pieces) {
          held.add(one);
          if (letGo) sent.push(...held.take());
        }
        sent.push(...held.take());
        const all = pieces.map(([one]) => one);
        for (const id of ['a', 'b']) expect(said(sent, id)).toBe(said(all, id));
      }),
    );
  });
});
