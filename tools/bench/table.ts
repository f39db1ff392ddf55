import type { Metric } from './plan';
import { formatNumber, summaryOf, targetOf, verdict, type BenchResults, type CaseResult } from './results';

const OURS = 'tyrum';

/** The results as Markdown: one table of full numbers beside the peers, one of bare ones. */
export function renderTables(results: Pick<BenchResults, 'cases'>): string {
  const full = results.cases.filter((each) => each.case.kind === 'full');
  const bare = results.cases.filter((each) => each.case.kind === 'bare');
  const parts: string[] = [];
  if (full.length > 0) parts.push(renderTable(full));
  if (bare.length > 0) {
    parts.push(
      'Bare numbers: the statements alone in batches made beforehand, raw inserts, and what keeps nothing. No peer is measured so.\n\n' +
        renderTable(bare),
    );
  }
  const failures = results.cases.flatMap((each) =>
    each.contenders.flatMap(({ contender, failure }) =>
      failure ? [`- ${each.case.workload} ${each.case.title}, ${contender}: ${failure.split('\n')[0] ?? ''}`] : [],
    ),
  );
  if (failures.length > 0) parts.push(['Could not be measured:', '', ...failures].join('\n'));
  return parts.join('\n\n') + '\n';
}

function renderTable(cases: readonly CaseResult[]): string {
  const names = [...new Set(cases.flatMap(({ contenders }) => contenders.map(({ contender }) => contender)))];
  const peers = names.filter((name) => name !== OURS);
  const header = ['', 'workload', 'unit', OURS, 'target', 'distance', ...peers];
  const rows = cases.flatMap((each) =>
    each.case.metrics.map((metric, i) => row(each, metric, { first: i === 0, peers })),
  );
  return layOut([header, ...rows]);
}

function row(
  { case: about, contenders }: CaseResult,
  metric: Metric,
  { first, peers }: { first: boolean; peers: string[] },
) {
  const cell = (name: string): string => {
    const result = contenders.find(({ contender }) => contender === name);
    const summary = result && summaryOf(result, metric.name);
    if (!summary) return result?.failure ? 'failed' : '–';
    const middle = formatNumber(summary.median);
    return summary.rounds === 1 ? middle : `${middle} (${formatNumber(summary.min)}–${formatNumber(summary.max)})`;
  };
  const ours = contenders.find(({ contender }) => contender === OURS);
  const value = ours && summaryOf(ours, metric.name)?.median;
  const goal = targetOf(metric, contenders);
  const target = goal === undefined ? '' : `${metric.better === 'higher' ? '≥' : '≤'} ${formatNumber(goal)}`;
  const distance = value === undefined ? '' : (verdict(metric, goal, value)?.text ?? '');
  const name = metric.label === 'rate' ? about.title : `${about.title}: ${metric.label}`;
  return [first ? about.workload : '', name, metric.unit, cell(OURS), target, distance, ...peers.map(cell)];
}

/** A Markdown table whose columns line up in a terminal too. */
export function layOut(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(3, ...rows.map((cells) => (cells[column] ?? '').length)));
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, i) => (cells[i] ?? '').padEnd(width)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [line(rows[0] ?? []), rule, ...rows.slice(1).map(line)].join('\n');
}
