import { ContractError } from './error-codes';
import { parseJsonPayload } from './parse-json';

function violationOf(text: string): unknown {
  try {
    return parseJsonPayload(text, 'body', { maxBytes: 1_000_000 });
  } catch (error) {
    if (error instanceof ContractError) return error.details[0];
    throw error;
  }
}

describe('parseJsonPayload', () => {
  it.each(['{"a":[1]}', '[]', 'null', '"x"'])('gives %s as it is', (text) => {
    expect(parseJsonPayload(text)).toEqual(JSON.parse(text));
  });

  it.each([
    ['body', 'isJson', '{'],
    ['body', 'maxDepth', '['.repeat(400_000) + ']'.repeat(400_000)],
    ['body', 'maxBytes', `"${'x'.repeat(1_000_000)}"`],
    ['body.a[0]', 'nullCharacter', '{"a":["\\u0000"]}'],
    ['body.__proto__', 'forbiddenKey', '{"__proto__":1}'],
  ])('names %s by the rule %s', (field, rule, text) => {
    expect(violationOf(text)).toMatchObject({ field, rule });
  });
});
