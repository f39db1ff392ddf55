import type { ArtifactRef, Step, Turn as TurnShown, Waiting } from '@tyrum/protocol';
import { summaryOf } from '../cli-step';
import { Action } from '../form';
import type { LiveEvent } from '../live-events';
import { Facts, Id, Output, PageHead, Problem, Status, Time } from '../parts';
import { useAllowed } from '../session';
import { usePages } from '../table';
import { isOver } from '../turn-status';
import { useAnswer } from '../use-answer';
import { linkTo } from '../use-place';

/** One turn: what it did, what it waits for, and what can be done about it. */
export function Turn({ turnId }: { readonly turnId: string }) {
  const { answer, error, reload } = useAnswer(
    'GET /v1/turns/:id',
    { params: { id: turnId } },
    { on: (event) => isAbout(event, turnId) },
  );
  const mayWrite = useAllowed()('operator.write');
  if (!answer) return error === undefined ? <p className="loading">Loading…</p> : <Problem text={error} />;
  const { turn, steps, waiting } = answer;
  return (
    <>
      <PageHead title="Turn">
        <Status value={turn.status} />
        {mayWrite && !isOver(turn.status) && (
          <Action
            label="Cancel the turn"
            kind="danger"
            route="POST /v1/turns/:id/cancel"
            params={{ id: turn.turn_id }}
            body={{}}
            asksReason
            onDone={reload}
          />
        )}
      </PageHead>
      <Problem text={error} />
      <TurnFacts turn={turn} />
      {waiting && <WaitsFor turn={turn} waiting={waiting} onResolved={reload} mayWrite={mayWrite} />}
      <h2>Steps</h2>
      {steps.length === 0 && <p className="empty">No step has been planned yet.</p>}
      <ol className="steps">
        {steps.map((step) => (
          <li key={step.step_index}>
            <StepShown step={step} />
          </li>
        ))}
      </ol>
      <TurnArtifacts turnId={turnId} />
    </>
  );
}

/** Everything the turn left, uploads and what messages brought along included. */
function TurnArtifacts({ turnId }: { readonly turnId: string }) {
  const { answer, pager } = usePages(
    'GET /v1/turns/:id/artifacts',
    { params: { id: turnId } },
    { on: (event) => event.type === 'artifact.attached' && event.payload.turn_id === turnId },
  );
  if (!answer || answer.artifacts.length === 0) return pager;
  return (
    <>
      <h2>Artifacts</h2>
      <Artifacts refs={answer.artifacts} />
      {pager}
    </>
  );
}

function isAbout(event: LiveEvent, turnId: string): boolean {
  return 'payload' in event && 'turn_id' in event.payload && event.payload.turn_id === turnId;
}

function TurnFacts({ turn }: { readonly turn: TurnShown }) {
  return (
    <Facts
      of={{
        Id: <code>{turn.turn_id}</code>,
        Conversation: <a href={linkTo('conversations', turn.conversation_key)}>{turn.conversation_key}</a>,
        Attempt: turn.attempt,
        Created: <Time at={turn.created_at} />,
        Started: <Time at={turn.started_at} />,
        Finished: <Time at={turn.finished_at} />,
      }}
    />
  );
}

interface WaitsForProps {
  readonly turn: TurnShown;
  readonly waiting: Waiting;
  readonly mayWrite: boolean;
  readonly onResolved: () => void;
}

/** What keeps the turn, and for a step whose outcome nobody knows, the three ways out. */
function WaitsFor({ turn, waiting, mayWrite, onResolved }: WaitsForProps) {
  const resolve = (decision: string) =>
    ({
      route: 'POST /v1/turns/:id/resolve',
      params: { id: turn.turn_id },
      body: { decision },
      onDone: onResolved,
    }) as const;
  return (
    <section className="notice" aria-label="Waits">
      <p>
        Waits for <strong>{waiting.kind === 'manual' ? 'your decision' : waiting.kind}</strong> since{' '}
        <Time at={waiting.since} />
        {waiting.detail !== null && <>: {waiting.detail}</>}
        {turn.blocked_detail !== undefined && turn.blocked_detail !== waiting.detail && <> ({turn.blocked_detail})</>}
      </p>
      {waiting.kind === 'approval' && <a href={linkTo('approvals')}>To the approvals</a>}
      {waiting.kind === 'manual' && mayWrite && (
        <div className="buttons">
          <Action {...resolve('retry')} label="Run it again" confirm="Its effect may happen twice." />
          <Action {...resolve('done')} label="It was done" confirm="The turn goes on after it." />
          <Action {...resolve('fail')} label="It failed" kind="danger" confirm="The turn fails." />
        </div>
      )}
    </section>
  );
}

function StepShown({ step }: { readonly step: Step }) {
  const { action, status, outcome, effect, attempts, result, error, artifacts } = step;
  const { output, ...rest } = result ?? {};
  return (
    <article aria-label={`Step ${step.step_index}`}>
      <header>
        <Status value={outcome === 'unknown' ? 'outcome_unknown' : status} />
        <code className="summary">{summaryOf(action)}</code>
        <span className="faint">
          {effect} · {attempts} {attempts === 1 ? 'attempt' : 'attempts'}
          {step.started_at !== null && (
            <>
              {' · '}
              <Time at={step.started_at} />
            </>
          )}
          {step.finished_at !== null && (
            <>
              {' – '}
              <Time at={step.finished_at} />
            </>
          )}
        </span>
      </header>
      {output !== undefined && output !== '' && <Output value={output} label="Output" />}
      {Object.keys(rest).length > 0 && <Details title="Result" value={rest} />}
      {error && (
        <>
          <Problem text={`${error.code}: ${error.message}`} />
          {error.details !== undefined && <Details title="About the error" value={error.details} />}
        </>
      )}
      <Details title="Action" value={action} />
      {artifacts.length > 0 && <Artifacts refs={artifacts} />}
    </article>
  );
}

function Details({ title, value }: { readonly title: string; readonly value: unknown }) {
  return (
    <details>
      <summary>{title}</summary>
      <Output value={value} />
    </details>
  );
}

/** The edge sends the bytes as a download whatever they are: nothing of an agent's runs in this page. */
function Artifacts({ refs }: { readonly refs: readonly ArtifactRef[] }) {
  return (
    <ul className="artifacts">
      {refs.map(({ artifact_id, filename, kind, size_bytes }) => (
        <li key={artifact_id}>
          <a href={`/v1/artifacts/${artifact_id}/content`} download>
            {filename}
          </a>{' '}
          <span className="faint">
            {kind}
            {size_bytes !== undefined && ` · ${size_bytes.toLocaleString()} bytes`} · <Id id={artifact_id} />
          </span>
        </li>
      ))}
    </ul>
  );
}
