import type { AuditEntry } from '@tyrum/protocol';
import { Id, PageHead, Time } from '../parts';
import { Table, usePages, type Column } from '../table';
import { linkTo } from '../use-place';

const REFRESH_MS = 10_000;

/** Who did what. */
export function Audit() {
  const { answer, pager } = usePages('GET /v1/audit', {}, { everyMs: REFRESH_MS });
  const columns: Column<AuditEntry>[] = [
    { title: 'No.', as: 'number', cell: ({ seq }) => seq },
    { title: 'At', cell: ({ at }) => <Time at={at} /> },
    { title: 'What', cell: ({ type }) => type },
    { title: 'Who', cell: ({ actor }) => <Id id={actor} /> },
    { title: 'To what', cell: ({ subject }) => <Subject name={subject} /> },
    {
      title: 'Detail',
      as: 'wide',
      cell: ({ detail }) => <code title={JSON.stringify(detail)}>{JSON.stringify(detail)}</code>,
    },
  ];
  return (
    <>
      <PageHead title="Audit">
        <a className="button" href="/v1/audit/export" download="audit.jsonl">
          Export
        </a>
      </PageHead>
      <Table
        label="Audit"
        rows={answer?.entries}
        keyOf={({ seq }) => String(seq)}
        columns={columns}
        empty="Nothing was done yet."
      />
      {pager}
    </>
  );
}

function Subject({ name }: { readonly name: string | null }) {
  if (name === null) return '–';
  const turnId = /^turn:(.+)$/.exec(name)?.[1];
  return turnId === undefined ? <Id id={name} /> : <Id id={name} href={linkTo('turns', turnId)} />;
}
