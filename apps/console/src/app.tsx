import type { Session } from '@tyrum/protocol';
import { useEffect, useState } from 'react';
import { ask, messageOf, ProblemError, watchSession } from './api';
import { LogIn } from './log-in';
import { sessionMark, SessionContext } from './session';
import { Shell } from './shell';

type State = { session: Session } | 'unknown' | { notice?: string };

/** The console: a log-in, or the pages of whoever is logged in. */
export function App() {
  const [state, setState] = useState<State>(sessionMark.isSet() ? 'unknown' : {});
  const leave = (notice?: string): void => {
    sessionMark.clear();
    setState(notice === undefined ? {} : { notice });
  };

  useEffect(() => watchSession(() => leave('The session is over. Log in again.')), []);
  useEffect(() => {
    if (!sessionMark.isSet()) return;
    ask('GET /v1/session').then(
      (session) => setState({ session }),
      // 401 has been told already. Anything else leaves the session as it is: loading the page anew may find it.
      (error: unknown) =>
        error instanceof ProblemError && error.status === 401 ? undefined : setState({ notice: messageOf(error) }),
    );
  }, []);

  if (state === 'unknown') return <p className="loading">Loading…</p>;
  if (!('session' in state)) return <LogIn notice={state.notice} onSession={(session) => setState({ session })} />;
  return (
    <SessionContext value={state.session}>
      <Shell session={state.session} onLeave={leave} />
    </SessionContext>
  );
}
