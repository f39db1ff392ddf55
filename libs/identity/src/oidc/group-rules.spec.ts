import { grantOf, GroupRuleError, parseGroupRules } from './group-rules';

const READER = { group: 'staff', tenant: 'default', role: 'client', scopes: ['operator.read'] } as const;
const ADMIN = { group: 'ops', tenant: 'acme', role: 'admin' } as const;

it.each([
  ['no rules', [], 'must have 1 to 200 rules'],
  ['too many', Array(201).fill(READER), 'must have 1 to 200 rules'],
  ['no object', [READER, 'ops'], '[1] must be an object'],
  ['a field nobody knows', [{ ...READER, scope: 'x' }], '[0] must have no fields but'],
  ['no group', [{ ...READER, group: '' }], '[0].group must be a text'],
  ['a long group', [{ ...READER, group: 'x'.repeat(257) }], '[0].group must be a text'],
  ['no tenant', [{ ...READER, tenant: undefined }], "[0].tenant must be a tenant's slug"],
  ['no slug', [{ ...READER, tenant: 'Acme Inc' }], "[0].tenant must be a tenant's slug"],
  ['a role of others', [READER, { ...READER, role: 'node' }], '[1].role must be admin or client'],
  ['a scope nobody knows', [{ ...READER, scopes: ['operator.all'] }], '[0].scopes must be a list of different ones'],
  ['a scope twice', [{ ...READER, scopes: ['operator.read', 'operator.read'] }], '[0].scopes must be a list'],
  ['scopes that are no list', [{ ...READER, scopes: 'operator.read' }], '[0].scopes must be a list'],
  ['a client that may do nothing', [{ ...READER, scopes: [] }], '[0].scopes must name what'],
  ['an admin with scopes', [{ ...ADMIN, scopes: ['operator.read'] }], '[0].scopes must be left out'],
])('refuses %s and says where', (_name, rules, message) => {
  const parse = () => parseGroupRules(JSON.stringify(rules));
  expect(parse).toThrow(GroupRuleError);
  expect(parse).toThrow(message);
});

it('grants what the first rule says that fits, and nothing to who fits none', () => {
  const rules = parseGroupRules(JSON.stringify([ADMIN, READER]));
  expect(grantOf(rules, ['staff', 'ops'])).toMatchObject({ tenant: 'acme', role: 'admin', scopes: [] });
  expect(grantOf(rules, ['other', 'staff'])).toMatchObject({ tenant: 'default', scopes: ['operator.read'] });
  for (const groups of [[], ['OPS'], ['op'], ['ops ']]) expect(grantOf(rules, groups)).toBeUndefined();
});
