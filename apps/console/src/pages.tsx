import type { OperatorScope } from '@tyrum/protocol';
import type { ComponentType } from 'react';
import { Approvals } from './pages/approvals';
import { Audit } from './pages/audit';
import { Conversations } from './pages/conversations';
import { Desktops } from './pages/desktops';
import { Nodes } from './pages/nodes';
import { Overview } from './pages/overview';
import { Schedules } from './pages/schedules';
import { Secrets } from './pages/secrets';
import { Tokens } from './pages/tokens';
import { Turns } from './pages/turns';
import { Webhooks } from './pages/webhooks';
import { PageHead } from './parts';

export interface PageProps {
  /** The parts of the address behind the page's own. */
  readonly place: readonly string[];
}

export interface Page {
  readonly path: string;
  readonly title: string;
  /** It is offered to whoever has one of these. */
  readonly anyOf: readonly OperatorScope[];
  readonly component: ComponentType<PageProps>;
}

/** Every page, in the order of the menu. */
export const PAGES: readonly Page[] = [
  { path: 'overview', title: 'Overview', anyOf: ['operator.admin'], component: Overview },
  { path: 'conversations', title: 'Conversations', anyOf: ['operator.read'], component: Conversations },
  { path: 'turns', title: 'Turns', anyOf: ['operator.read'], component: Turns },
  { path: 'approvals', title: 'Approvals', anyOf: ['operator.approvals'], component: Approvals },
  { path: 'nodes', title: 'Nodes', anyOf: ['operator.pairing', 'operator.read'], component: Nodes },
  { path: 'desktops', title: 'Desktops', anyOf: ['operator.read'], component: Desktops },
  { path: 'schedules', title: 'Schedules', anyOf: ['operator.read'], component: Schedules },
  { path: 'webhooks', title: 'Webhooks', anyOf: ['operator.read'], component: Webhooks },
  { path: 'secrets', title: 'Secrets', anyOf: ['operator.admin'], component: Secrets },
  { path: 'tokens', title: 'Tokens', anyOf: ['operator.admin'], component: Tokens },
  { path: 'audit', title: 'Audit', anyOf: ['operator.admin'], component: Audit },
];

export function NotFound(_: PageProps) {
  return (
    <>
      <PageHead title="Not here" />
      <p className="empty">There is no such page, or your token does not allow it.</p>
    </>
  );
}
