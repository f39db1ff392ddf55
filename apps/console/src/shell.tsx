import type { Session } from '@tyrum/protocol';
import type { ReactNode } from 'react';
import { NotFound, PAGES } from './pages';
import { Problem } from './parts';
import { allows } from './session';
import { useCall } from './use-call';
import { LiveProvider, useLiveState } from './use-live';
import { linkTo, usePlace } from './use-place';

export interface ShellProps {
  readonly session: Session;
  readonly onLeave: () => void;
}

/** The frame around the pages: where one can go, whether it is live, and the way out. */
export function Shell({ session, onLeave }: ShellProps) {
  const offered = PAGES.filter(({ anyOf }) => anyOf.some((scope) => allows(session, scope)));
  const [name = '', ...rest] = usePlace();
  const page = name === '' ? offered[0] : offered.find(({ path }) => path === name);
  const Page = page?.component ?? NotFound;
  return (
    <Follow live={allows(session, 'operator.read')}>
      <div className="shell">
        <header>
          <a className="brand" href={linkTo()}>
            Tyrum
          </a>
          <LiveBadge />
          <span className="who" title={`token ${session.token_id} of tenant ${session.tenant_id}`}>
            {session.role}
          </span>
          <LogOut onLeave={onLeave} />
        </header>
        <nav aria-label="Pages">
          {offered.map(({ path, title }) => (
            <a key={path} href={linkTo(path)} aria-current={path === page?.path ? 'page' : undefined}>
              {title}
            </a>
          ))}
        </nav>
        <main>
          <Page key={[name, ...rest].join('/')} place={rest} />
        </main>
      </div>
    </Follow>
  );
}

/** Events are for those who may read. */
function Follow({ live, children }: { readonly live: boolean; readonly children: ReactNode }) {
  return live ? <LiveProvider>{children}</LiveProvider> : children;
}

const WORDS = { connecting: 'Connecting…', live: 'Live', retrying: 'Disconnected, retrying…' };

function LiveBadge() {
  const state = useLiveState();
  return state === undefined ? null : (
    <span className={`live ${state}`} role="status">
      {WORDS[state]}
    </span>
  );
}

function LogOut({ onLeave }: { readonly onLeave: () => void }) {
  const { call, busy, error } = useCall('DELETE /v1/session');
  return (
    <>
      <Problem text={error} />
      <button disabled={busy} onClick={async () => (await call({})) && onLeave()}>
        Log out
      </button>
    </>
  );
}
