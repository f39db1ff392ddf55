import { ContractError } from '@tyrum/protocol';
import { conversationKeyParam, readQuery, uuidParam } from './query';

it('reads lists with commas and repeated, numbers and flags', () => {
  expect(readQuery('GET /v1/turns', { status: 'queued,running', limit: '7' })).toMatchObject({
    statuses: ['queued', 'running'],
    limit: 7,
  });
  expect(readQuery('GET /v1/turns', { status: ['queued', 'paused'] }).statuses).toEqual(['queued', 'paused']);
  expect(readQuery('GET /v1/conversations', { archived: 'true' }).archived).toBe(true);
});

it.each([
  [{ limit: 'x' }, 'query.limit'],
  [{ limit: '0' }, 'query.limit'],
  [{ limit: ['1', '2'] }, 'query.limit'],
  [{ status: 'foo' }, 'query.status'],
  [{ colour: 'red' }, 'query.colour'],
])('refuses %j by the name the caller wrote', (query, field) => {
  const read = () => readQuery('GET /v1/turns', query);
  expect(read).toThrow(ContractError);
  try {
    read();
  } catch (error) {
    expect((error as ContractError).details[0]?.field).toBe(field);
  }
});

it('checks path parameters', () => {
  expect(uuidParam('0d40e107-421e-45f4-b218-2e149e621fe4')).toBe('0d40e107-421e-45f4-b218-2e149e621fe4');
  expect(() => uuidParam('0D40E107-421E-45F4-B218-2E149E621FE4')).toThrow(ContractError);
  expect(() => conversationKeyParam('agent')).toThrow(ContractError);
});
