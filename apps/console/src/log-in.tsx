import type { Session } from '@tyrum/protocol';
import { useEffect, useState, type FormEvent } from 'react';
import { ask, messageOf } from './api';
import { sessionMark } from './session';

export interface LogInProps {
  readonly notice: string | undefined;
  readonly onSession: (session: Session) => void;
}

/**
 * Turns a token into a session. The token is in the field and in one request; after that it is in the cookie alone, which scripts
 * cannot read, and the field is gone.
 */
export function LogIn({ notice, onSession }: LogInProps) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const offersProvider = useProviderOffer();

  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget;
    const token = String(new FormData(form).get('token')).trim();
    setBusy(true);
    try {
      await ask('POST /v1/session', { token });
      const session = await withCookie();
      sessionMark.set();
      onSession(session);
    } catch (thrown) {
      setError(messageOf(thrown));
      setBusy(false);
    }
  };

  return (
    <main className="log-in">
      <h1>Tyrum</h1>
      {notice !== undefined && error === undefined && <p role="status">{notice}</p>}
      <form onSubmit={submit} aria-label="Log in">
        <label>
          Token
          <input name="token" type="password" autoComplete="off" spellCheck={false} required autoFocus />
        </label>
        <p className="hint">The first admin token lies in the edge’s home, in admin-token.</p>
        {error !== undefined && <p role="alert">{error}</p>}
        <button type="submit" className="primary" disabled={busy}>
          Log in
        </button>
      </form>
      {offersProvider && (
        // The mark is set before the browser leaves: what it comes back with is a session, or a log-in that failed.
        <a className="button" href="/oidc/login?return_to=/ui/" onClick={() => sessionMark.set()}>
          Log in with your provider
        </a>
      )}
    </main>
  );
}

/** The session as the next request will have it: some browsers keep no `Secure` cookie of an address without TLS. */
async function withCookie(): Promise<Session> {
  try {
    return await ask('GET /v1/session');
  } catch (error) {
    throw new Error(`This browser did not keep the session’s cookie: ${messageOf(error)}`);
  }
}

function useProviderOffer(): boolean {
  const [available, setAvailable] = useState(false);
  useEffect(() => {
    ask('GET /oidc').then(
      (offer) => setAvailable(offer.available),
      // Then there is no button; the form below tells what is wrong with the edge.
      () => undefined,
    );
  }, []);
  return available;
}
