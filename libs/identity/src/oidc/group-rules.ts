import { OPERATOR_SCOPES, type OperatorScope } from '@tyrum/protocol';

/** What a log-in is worth here: in which tenant, and what its session may do. */
export interface Grant {
  /** The tenant's slug. */
  readonly tenant: string;
  readonly role: 'admin' | 'client';
  /** Empty for an admin, who needs none. */
  readonly scopes: readonly OperatorScope[];
}

export interface GroupRule extends Grant {
  readonly group: string;
}

/** A rule that cannot be meant. `message` says which one and what it should be, and repeats nothing of it. */
export class GroupRuleError extends Error {
  readonly code = 'group_rule_invalid';
}

const MAX_RULES = 200;
const MAX_GROUP_LENGTH = 256;
const FIELDS = ['group', 'tenant', 'role', 'scopes'];

/** The rules of a JSON list. @throws {GroupRuleError} */
export function parseGroupRules(json: string): GroupRule[] {
  const list = JSON.parse(json) as unknown[];
  if (list.length === 0 || list.length > MAX_RULES) throw new GroupRuleError(`must have 1 to ${MAX_RULES} rules`);
  return list.map((rule, i) => parseRule(rule, `[${i}]`));
}

/** What the first rule that fits says; undefined when none does. */
export function grantOf(rules: readonly GroupRule[], groups: readonly string[]): Grant | undefined {
  return rules.find(({ group }) => groups.includes(group));
}

function parseRule(rule: unknown, at: string): GroupRule {
  if (typeof rule !== 'object' || rule === null || Array.isArray(rule)) throw wrong(at, 'must be an object');
  const surplus = Object.keys(rule).some((field) => !FIELDS.includes(field));
  if (surplus) throw wrong(at, `must have no fields but ${FIELDS.join(', ')}`);
  const { group, tenant, role, scopes = [] } = rule as Record<string, unknown>;
  if (typeof group !== 'string' || group === '' || group.length > MAX_GROUP_LENGTH) {
    throw wrong(`${at}.group`, `must be a text of 1 to ${MAX_GROUP_LENGTH} characters`);
  }
  if (typeof tenant !== 'string' || !/^[a-z0-9-]{1,63}$/.test(tenant)) {
    throw wrong(`${at}.tenant`, "must be a tenant's slug");
  }
  if (role !== 'admin' && role !== 'client') throw wrong(`${at}.role`, 'must be admin or client');
  return { group, tenant, role, scopes: parseScopes(scopes, role, `${at}.scopes`) };
}

function parseScopes(scopes: unknown, role: GroupRule['role'], at: string): OperatorScope[] {
  const known = Array.isArray(scopes) && scopes.every((scope) => OPERATOR_SCOPES.includes(scope as OperatorScope));
  if (!known || new Set(scopes).size !== scopes.length) {
    throw wrong(at, `must be a list of different ones of ${OPERATOR_SCOPES.join(', ')}`);
  }
  // A client without scopes could do nothing at all, and an admin with some would look like one that may do less.
  if ((role === 'client') !== scopes.length > 0) {
    throw wrong(
      at,
      role === 'client' ? 'must name what the client may do' : 'must be left out: an admin may do everything',
    );
  }
  return scopes as OperatorScope[];
}

function wrong(at: string, what: string): GroupRuleError {
  return new GroupRuleError(`${at} ${what}`);
}
