import fc from 'fast-check';
import {
  agentKeyOf,
  CONTAINER_KINDS,
  formatConversationKey,
  isConversationKey,
  newUiConversationKey,
  parseConversationKey,
} from './conversation-key';
import { ContractError } from './error-codes';

const part = fc
  .string({ minLength: 1, maxLength: 40, unit: 'binary' })
  .filter((text) => !/[:\p{Cc}\p{Cs}]/u.test(text));

describe('parseConversationKey', () => {
  it.each([
    ['agent:default:main', { agentKey: 'default', threadId: 'main' }],
    ['agent:default:dm:+4917', { agentKey: 'default', containerKind: 'dm', threadId: '+4917' }],
    ['agent:a:telegram:dm:x@y', { agentKey: 'a', channel: 'telegram', containerKind: 'dm', threadId: 'x@y' }],
    [
      'agent:a:ui:default:channel:ui-1',
      { agentKey: 'a', channel: 'ui', accountKey: 'default', containerKind: 'channel', threadId: 'ui-1' },
    ],
    // The number of parts decides, so words that mean something elsewhere are ordinary names here.
    ['agent:main:dm:dm:dm', { agentKey: 'main', channel: 'dm', containerKind: 'dm', threadId: 'dm' }],
  ])('reads %s', (text, parts) => {
    expect(parseConversationKey(text)).toEqual(parts);
    expect(formatConversationKey(parts as never)).toBe(text);
  });

  it.each([
    '',
    'agent:',
    'agent:a',
    'agent:a:other',
    'agent::main',
    'Agent:a:main',
    'agent:a:dm:',
    'agent:a:group:x',
    'agent:a:ui:group:x',
    'agent:a:ui:acc:thread:x',
    'agent:a:ui:acc:dm:x:y',
    'agent:a:ui:acc:dm:x:',
    'agent:a:main\n',
    'agent:a\0:main',
    'agent:a\u0085:main',
    'agent:\ud800:main',
    `agent:a:dm:${'x'.repeat(256)}`,
    `agent:${'a'.repeat(250)}:${'b'.repeat(250)}:dm:x${'c'.repeat(20)}`,
  ])('refuses %j', (text) => {
    expect(isConversationKey(text)).toBe(false);
    expect(() => parseConversationKey(text, 'payload.conversation_key')).toThrow(ContractError);
  });

  it('names the field and the rule', () => {
    const error = (() => {
      try {
        return parseConversationKey('nonsense', 'payload.conversation_id');
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toMatchObject({
      code: 'contract_error',
      details: [{ field: 'payload.conversation_id', rule: 'conversationKey' }],
    });
  });

  it('reads back whatever it wrote', () => {
    const keys = fc.oneof(
      fc.record({ agentKey: part, threadId: fc.constant('main') }),
      fc.record({ agentKey: part, containerKind: fc.constant('dm' as const), threadId: part }),
      fc.record({ agentKey: part, channel: part, containerKind: fc.constant('dm' as const), threadId: part }),
      fc.record({
        agentKey: part,
        channel: part,
        accountKey: part,
        containerKind: fc.constantFrom(...CONTAINER_KINDS),
        threadId: part,
      }),
    );
    fc.assert(fc.property(keys, (key) => expect(parseConversationKey(formatConversationKey(key))).toEqual(key)));
  });

  it('is right about any text: what it accepts is written back the same', () => {
    const word = fc.constantFrom('agent', 'main', 'dm', 'group', 'channel', 'ui', '', 'x', '\0', ':');
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), (words) => {
        const text = words.join(':');
        if (isConversationKey(text)) expect(formatConversationKey(parseConversationKey(text))).toBe(text);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('formatConversationKey', () => {
  it('refuses parts that would be read as something else', () => {
    // Without a channel the account would be taken for one.
    expect(() => formatConversationKey({ agentKey: 'a', accountKey: 'x', containerKind: 'dm', threadId: 'y' })).toThrow(
      ContractError,
    );
    expect(() => formatConversationKey({ agentKey: 'a:main', threadId: 'x' })).toThrow(ContractError);
  });
});

it('makes the key of a new UI conversation', () => {
  const key = newUiConversationKey('00000000-0000-4000-8000-00000000000a');
  expect(key).toBe('agent:default:ui:default:channel:ui-00000000-0000-4000-8000-00000000000a');
  expect(agentKeyOf(key)).toBe('default');
});
