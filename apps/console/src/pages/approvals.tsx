import type { Action as Step, Approval } from '@tyrum/protocol';
import { useState } from 'react';
import { summaryOf } from '../cli-step';
import { Action, Choice } from '../form';
import { Facts, Id, Output, PageHead, Status, Time } from '../parts';
import { usePages } from '../table';
import { linkTo } from '../use-place';

const FILTERS = {
  awaiting_human: 'waiting',
  approved: 'approved',
  denied: 'denied',
  expired: 'expired',
  cancelled: 'cancelled',
  '': 'all',
};

/** What people are asked before something happens. */
export function Approvals() {
  const [status, setStatus] = useState<string>('awaiting_human');
  const { answer, pager, reload } = usePages(
    'GET /v1/approvals',
    { query: { status: status || undefined } },
    { on: ({ type }) => type === 'approval.updated' },
  );
  return (
    <>
      <PageHead title="Approvals">
        <Choice name="status" label="Status" options={FILTERS} value={status} onChange={setStatus} />
      </PageHead>
      {!answer && <p className="loading">Loading…</p>}
      {answer?.approvals.length === 0 && (
        <p className="empty">Nothing {status === 'awaiting_human' ? 'waits for you' : 'of that kind'}.</p>
      )}
      <ul className="cards" aria-label="Approvals">
        {answer?.approvals.map((approval) => (
          <li key={approval.approval_id}>
            <ApprovalShown approval={approval} onDecided={reload} />
          </li>
        ))}
      </ul>
      {pager}
    </>
  );
}

function ApprovalShown({ approval, onDecided }: { readonly approval: Approval; readonly onDecided: () => void }) {
  const { approval_id, prompt, motivation, status, context, scope, latest_review } = approval;
  const { action } = (context ?? {}) as { action?: Step };
  const resolve = (body: object) =>
    ({ route: 'POST /v1/approvals/:id/resolve', params: { id: approval_id }, body, onDone: onDecided }) as const;
  return (
    <article aria-label={prompt}>
      <header>
        <Status value={status} />
        <strong>{prompt}</strong>
      </header>
      {motivation !== '' && motivation !== prompt && <p>{motivation}</p>}
      {action && <Output value={summaryOf(action)} label="What is approved" />}
      <Facts
        of={{
          Kind: approval.kind,
          Asked: <Time at={approval.created_at} />,
          Expires: <Time at={approval.expires_at} />,
          Turn: scope?.turn_id ? <Id id={scope.turn_id} href={linkTo('turns', scope.turn_id)} /> : '–',
          ...(latest_review
            ? { Review: `${latest_review.reviewer_kind}: ${latest_review.state} ${latest_review.reason ?? ''}` }
            : {}),
        }}
      />
      <details>
        <summary>Exactly</summary>
        <Output value={context ?? null} />
      </details>
      {status === 'awaiting_human' && (
        <div className="buttons">
          <Action {...resolve({ decision: 'approved', mode: 'once' })} label="Approve once" kind="primary" />
          {action && action.type !== 'Confirm' && (
            <Action
              {...resolve({ decision: 'approved', mode: 'always' })}
              label="Approve always"
              confirm="Exactly this will not be asked again."
            />
          )}
          <Action {...resolve({ decision: 'denied' })} label="Deny" kind="danger" asksReason />
        </div>
      )}
    </article>
  );
}
