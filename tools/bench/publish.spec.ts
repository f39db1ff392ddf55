import type { BenchResults } from './results';
import { withResults } from './publish';

const RESULTS: BenchResults = {
  startedAt: '2026-01-02T03:04:05.000Z',
  seconds: 60,
  quick: true,
  machine: {
    cpu: 'a processor',
    cores: 2,
    memoryGiB: 4,
    system: 'Linux',
    node: 'v20.0.0',
    postgres: { server_version: '15.1', fsync: 'on' },
    redis: { version: '7.0', appendonly: 'no' },
    loadBefore: 0.1,
  },
  cases: [
    {
      case: {
        workload: 'W1',
        title: 'accept',
        kind: 'full',
        database: 'postgres',
        params: {},
        metrics: [{ name: 'rate', label: 'rate', unit: 'turns/s', better: 'higher', target: 10 }],
      },
      contenders: [{ contender: 'tyrum', rounds: [{ rate: 12 }] }],
    },
  ],
};

describe('publishing', () => {
  const page = '# A page\n\nbefore\n\n<!-- results -->\n\nold numbers\n\n<!-- /results -->\n\nafter\n';

  it('replaces what stands between the markers and nothing else', () => {
    const filled = withResults(page, RESULTS);
    expect(filled).toMatch(/^# A page\n\nbefore\n\n<!-- results -->\n/);
    expect(filled).toMatch(/<!-- \/results -->\n\nafter\n$/);
    expect(filled).not.toContain('old numbers');
    expect(filled).toContain('Measured on 2026-01-02 with `--quick`: a processor, 2 cores');
    expect(filled).toContain('Postgres 15.1 (fsync=on); Redis 7.0 (appendonly=no); load before 0.1.');
    expect(filled).toMatch(/\| W1 +\| accept +\| turns\/s +\| 12 +\| ≥ 10 +\| met +\|/);
  });

  it('comes to the same page when done again', () => {
    const once = withResults(page, RESULTS);
    expect(withResults(once, RESULTS)).toBe(once);
  });

  it('refuses a page without a place for it', () => {
    expect(() => withResults('# A page\n', RESULTS)).toThrow('has no place');
  });
});
