import { TURN_STATUS_LABELS } from '../turn-status';
import type { TurnListItem } from '@tyrum/protocol';
import { useState } from 'react';
import { CliStepFields, cliStepOf } from '../cli-step';
import { Action, Choice, Form } from '../form';
import type { PageProps } from '../pages';
import { Id, PageHead, Status, Time } from '../parts';
import { useAllowed } from '../session';
import { Table, usePages, type Column } from '../table';
import { goTo, linkTo } from '../use-place';
import { Turn } from './turn';

export function Turns({ place: [turnId] }: PageProps) {
  return turnId === undefined ? <TurnList /> : <Turn turnId={turnId} />;
}

function TurnList() {
  const [filter, setFilter] = useState('');
  const [isStarting, setStarting] = useState(false);
  const mayWrite = useAllowed()('operator.write');
  const isDead = filter === 'dead';
  const { answer, pager } = usePages(
    'GET /v1/turns',
    { query: isDead ? { dead: 'true' } : { status: filter || undefined } },
    {
      on: ({ type }) => type.startsWith('turn.'),
    },
  );
  const columns: Column<TurnListItem>[] = [
    { title: 'Turn', cell: ({ turn }) => <Id id={turn.turn_id} href={linkTo('turns', turn.turn_id)} /> },
    { title: 'Status', cell: ({ turn }) => <Status value={turn.status} /> },
    { title: 'Waits for', cell: ({ turn }) => turn.blocked_reason ?? '' },
    { title: 'Conversation', as: 'wide', cell: ({ turn: { conversation_key } }) => conversation_key },
    { title: 'Begun by', cell: ({ trigger_kind }) => trigger_kind ?? '' },
    { title: 'Attempt', as: 'number', cell: ({ turn }) => turn.attempt },
    { title: 'Created', cell: ({ turn }) => <Time at={turn.created_at} /> },
    { title: 'Finished', cell: ({ turn }) => <Time at={turn.finished_at} /> },
  ];
  if (isDead) columns.push({ title: 'Actions', as: 'actions', cell: (item) => <Redrive item={item} /> });
  return (
    <>
      <PageHead title="Turns">
        <Choice name="status" label="Status" options={TURN_STATUS_LABELS} value={filter} onChange={setFilter} />
        {mayWrite && !isStarting && (
          <button className="primary" onClick={() => setStarting(true)}>
            Start a turn
          </button>
        )}
      </PageHead>
      {isStarting && <StartTurn onCancel={() => setStarting(false)} />}
      <Table
        label="Turns"
        rows={answer?.turns}
        keyOf={({ turn }) => turn.turn_id}
        columns={columns}
        empty="There are no such turns."
      />
      {pager}
    </>
  );
}

/** A simple workflow: one shell command. */
function StartTurn({ onCancel }: { readonly onCancel: () => void }) {
  return (
    <Form
      label="Start a turn"
      submit="Start"
      route="POST /v1/workflows"
      body={cliStepOf}
      onDone={({ workflow_run_id }) => goTo('turns', workflow_run_id)}
      onCancel={onCancel}
    >
      <CliStepFields />
    </Form>
  );
}

/** The turn that takes up a dead one's work. Where its last step may have had its effect, the edge asks which it is. */
function Redrive({ item: { turn, dead } }: { readonly item: TurnListItem }) {
  if (dead?.redriven_as !== undefined) return <a href={linkTo('turns', dead.redriven_as)}>went on</a>;
  const common = {
    route: 'POST /v1/turns/:id/redrive',
    params: { id: turn.turn_id },
    onDone: ({ turn_id }: { turn_id: string }) => goTo('turns', turn_id),
  } as const;
  return (
    <>
      <Action {...common} label="Run again" body={{ decision: 'retry' }} confirm="Its last step runs again." />
      <Action {...common} label="Go on" body={{ decision: 'done' }} confirm="Its last step counts as done." />
    </>
  );
}
