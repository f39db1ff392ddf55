import { OPERATOR_SCOPES } from '@tyrum/protocol';
import { allows } from './principal';

it('lets an admin do everything and everybody else only what the token carries', () => {
  for (const scope of OPERATOR_SCOPES) {
    expect(allows({ role: 'admin', scopes: [] }, scope)).toBe(true);
    expect(allows({ role: 'client', scopes: [] }, scope)).toBe(false);
    expect(allows({ role: 'node', scopes: [] }, scope)).toBe(false);
    expect(allows({ role: 'client', scopes: [scope] }, scope)).toBe(true);
  }
  expect(allows({ role: 'client', scopes: ['operator.admin'] }, 'operator.read')).toBe(false);
});
