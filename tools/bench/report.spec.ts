import { renderChart } from './chart';
import type { Metric } from './plan';
import { formatNumber, verdict, type CaseResult } from './results';
import { renderTables } from './table';

const RATE: Metric = { name: 'rate', label: 'rate', unit: 'turns/s', better: 'higher', target: 2_000 };
const P99: Metric = { name: 'p99', label: 'p99', unit: 'ms', better: 'lower', target: 10 };

function caseOf(fields: Partial<CaseResult['case']> = {}, contenders: CaseResult['contenders'] = []): CaseResult {
  const about = {
    workload: 'W1',
    title: 'accept',
    kind: 'full',
    database: 'postgres',
    params: {},
    metrics: [RATE, P99],
  } as const;
  return { case: { ...about, ...fields }, contenders };
}

const OURS = {
  contender: 'tyrum',
  rounds: [
    { rate: 1_000, p99: 5 },
    { rate: 1_200, p99: 25 },
    { rate: 1_100, p99: 20 },
  ],
};

describe('the verdict', () => {
  it('says met, or how far a number is from its target', () => {
    expect(verdict(RATE, RATE.target, 2_000)).toEqual({ met: true, text: 'met' });
    expect(verdict(RATE, RATE.target, 1_999)).toEqual({ met: false, text: '99 % of it' });
    expect(verdict(P99, P99.target, 10)).toEqual({ met: true, text: 'met' });
    expect(verdict(P99, P99.target, 29)).toEqual({ met: false, text: '2.9× it' });
    expect(verdict(P99, 0, 3)).toEqual({ met: false, text: '3 too many' });
  });

  it('says nothing where there is no target', () => {
    expect(verdict(P99, undefined, 1)).toBeUndefined();
  });
});

describe('the tables', () => {
  it('show medians and ranges beside target and distance, a column a peer', () => {
    const table = renderTables({
      cases: [caseOf({}, [OURS, { contender: 'pg-boss', rounds: [{ rate: 500 }] }])],
    });
    const [header, , rate, p99] = table.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
    expect(header).toEqual(['', '', 'workload', 'unit', 'tyrum', 'target', 'distance', 'pg-boss', '']);
    expect(rate).toEqual(['', 'W1', 'accept', 'turns/s', '1,100 (1,000–1,200)', '≥ 2,000', '55 % of it', '500', '']);
    expect(p99).toEqual(['', '', 'accept: p99', 'ms', '20 (5–25)', '≤ 10', '2.0× it', '–', '']);
  });

  it('keep bare numbers apart from those that peers stand beside', () => {
    const bare = caseOf({ kind: 'bare', title: 'statements' }, [OURS]);
    const full = caseOf({}, [OURS, { contender: 'pg-boss', rounds: [{ rate: 500 }] }]);
    const [first = '', second = ''] = renderTables({ cases: [bare, full] }).split('Bare numbers');
    expect(first).toContain('pg-boss');
    expect(first).not.toContain('statements');
    expect(second).toContain('statements');
    expect(second).not.toContain('pg-boss');
  });

  it('name what could not be measured and why', () => {
    const failed = { contender: 'dbos', rounds: [], failure: 'ended with 1\na stack' };
    const table = renderTables({ cases: [caseOf({}, [OURS, failed])] });
    expect(table).toContain('- W1 accept, dbos: ended with 1');
    expect(table).not.toContain('a stack');
    expect(table).toMatch(/W1 .*\| failed/);
  });
});

describe('the chart', () => {
  it('draws a bar as long as its median is to the longest, and a line at the target', () => {
    const svg = renderChart({ cases: [caseOf({}, [OURS, { contender: 'pg-boss', rounds: [{ rate: 500 }] }])] });
    const widths = [...svg.matchAll(/<rect x="190" [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width));
    expect(widths).toHaveLength(2);
    expect((widths[0] as number) / (widths[1] as number)).toBeCloseTo(1_100 / 500, 1);
    expect(svg).toContain('target 2,000');
  });

  it('escapes what would end an element', () => {
    const svg = renderChart({ cases: [caseOf({ title: 'a <b> & "c"' }, [OURS])] });
    expect(svg).toContain('a &lt;b&gt; &amp; &quot;c&quot;');
    expect(svg).not.toContain('<b>');
  });

  it('leaves out cases without a rate', () => {
    expect(renderChart({ cases: [caseOf({ title: 'idle', metrics: [P99] }, [OURS])] })).not.toContain('idle');
  });
});

describe('numbers', () => {
  it('have three digits, and thousands their commas', () => {
    expect([12_345.6, 100.4, 1.2345, 0.04567, 0].map(formatNumber)).toEqual(['12,346', '100', '1.23', '0.0457', '0']);
  });
});
