import type { OperatorScope, Session } from '@tyrum/protocol';
import { createContext, useContext } from 'react';

/** Who is logged in, for every page. */
export const SessionContext = createContext<Session | undefined>(undefined);

/** Whether the caller's token carries the scope: what it does not carry is not offered. The edge decides all the same. */
export function useAllowed(): (scope: OperatorScope) => boolean {
  const session = useContext(SessionContext);
  return (scope) => session !== undefined && allows(session, scope);
}

export function allows({ role, scopes }: Session, scope: OperatorScope): boolean {
  return role === 'admin' || scopes.includes(scope);
}

const MARK = 'tyrum.session';

/**
 * Whether this browser may have a session. Scripts cannot see the cookie, and asking the edge without one would be a failed
 * log-in in its audit at every visit. The mark says nothing more than that.
 */
export const sessionMark = {
  isSet: (): boolean => localStorage.getItem(MARK) !== null,
  set: (): void => localStorage.setItem(MARK, 'begun'),
  clear: (): void => localStorage.removeItem(MARK),
};
