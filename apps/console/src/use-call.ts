import type { RouteAnswers } from '@tyrum/protocol';
import { useRef, useState } from 'react';
import { ask, messageOf, type Call, type Route } from './api';

export interface Calling<R extends Route> {
  readonly busy: boolean;
  /** Why the last call failed. */
  readonly error: string | undefined;
  /** Resolves with the answer in a tuple, or with undefined when it failed. */
  call(call: Omit<Call, 'key'>): Promise<readonly [RouteAnswers[R]] | undefined>;
}

/**
 * Sends what changes something, each time under an idempotency key. A call that was not answered well keeps its key: when
 * the same click comes again it is the same request, and happens once, even where the first answer was lost on its way.
 */
export function useCall<R extends Route>(route: R): Calling<R> {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const open = useRef<{ readonly what: string; readonly key: string }>(undefined);

  const call: Calling<R>['call'] = async (options) => {
    const what = JSON.stringify([options.params, options.body]);
    if (open.current?.what !== what) open.current = { what, key: crypto.randomUUID() };
    setBusy(true);
    setError(undefined);
    try {
      const answer = await ask(route, { ...options, key: open.current.key });
      open.current = undefined;
      return [answer];
    } catch (thrown) {
      setError(messageOf(thrown));
      return undefined;
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, call };
}
