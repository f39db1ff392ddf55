import { check } from './checker';
import { HandMadeRun } from './testing-run';
import { renderTimeline } from './timeline';

describe('the timeline', () => {
  const rendered = (run: HandMadeRun) => renderTimeline(run.files(), check(run.files()));
  const run = () => {
    const one = new HandMadeRun().done('a').effect('begin', 'b', { at: 40 });
    const process = { kind: 'process', slot: 'worker-1', instance: 'worker-1.1', roles: ['worker'], pid: 9 } as const;
    one.fact({ ...process, state: 'started' }, 0).fact({ ...process, state: 'exited', signal: 'SIGKILL' }, 60);
    const fault = { kind: 'fault', id: 1, name: 'kill', target: 'worker-1' } as const;
    one.fact({ ...fault, state: 'begin' }, 50).fact({ ...fault, state: 'end' }, 70);
    return one.fact({ kind: 'rest', problems: [] }, 100);
  };

  it('shows faults, processes and effects, each with what it was', () => {
    const html = rendered(run());
    expect(html).toContain('<text x="4" y="15">fault: worker-1</text>');
    expect(html).toContain('<title>kill for 20 ms</title>');
    expect(html).toContain('<title>worker-1.1 pid 9 ended by SIGKILL</title>');
    expect(html).toContain('<title>a step 0 (once), token 1</title>');
    expect(html).toContain('<title>b step 0 (once), token 1, cut off</title>');
  });

  it('says what was wrong and when, and marks it', () => {
    const html = rendered(run().fact({ kind: 'rest', problems: ['<c> is leased'] }, 1_500));
    expect(html).toContain('G21 +1.50 s &lt;c> is leased');
    expect(html).toContain('<title>G21: &lt;c> is leased</title>');
    expect(html).toContain('<tr class="bad"><td>G21</td>');
  });

  it('needs nothing from outside and runs nothing', () => {
    expect(rendered(run())).not.toMatch(/<script|src=|href=|@import|url\(/);
  });
});
