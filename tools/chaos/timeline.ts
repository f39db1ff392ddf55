import { factsOf, faultsOf, groupBy, runOf, type RunFiles } from './checks/run-files';
import type { Verdict } from './checker';

const WIDTH = 1_400;
const LANE = 22;
const LABEL = 190;

interface Mark {
  readonly from: number;
  readonly to: number;
  readonly colour: string;
  readonly title: string;
}

/** The run as one HTML file without anything outside it: faults, processes, effects by conversation, and what was wrong. */
export function renderTimeline(files: RunFiles, verdict: Verdict): string {
  const run = runOf(files);
  const first = files.facts[0]?.at ?? 0;
  const last = files.facts.at(-1)?.at ?? first + 1;
  const lanes = [
    ...faultLanes(files, last),
    ...processLanes(files, last),
    ...effectLanes(files),
    violationLane(verdict),
  ];
  const x = (at: number) => LABEL + ((Math.min(Math.max(at, first), last) - first) / (last - first)) * (WIDTH - LABEL);
  const rows = lanes.map(([name, marks], i) => {
    const y = i * LANE;
    const bars = marks.map(({ from, to, colour, title }) => {
      const width = Math.max(2, x(to) - x(from));
      return `<rect x="${x(from).toFixed(1)}" y="${y + 3}" width="${width.toFixed(1)}" height="${LANE - 6}" fill="${colour}"><title>${escape(title)}</title></rect>`;
    });
    return `<text x="4" y="${y + 15}">${escape(name)}</text><line x1="${LABEL}" x2="${WIDTH}" y1="${y + LANE}" y2="${y + LANE}"/>${bars.join('')}`;
  });
  const title = `seed ${run.seed} on ${run.store}: ${verdict.outcome}`;
  const findings = verdict.findings.map(
    ({ guarantee, violations, checked, notes }) =>
      `<tr class="${violations.length > 0 ? 'bad' : ''}"><td>${guarantee}</td><td>${violations.length} / ${checked}</td><td>${escape(JSON.stringify(notes ?? {}))}</td></tr>`,
  );
  const violations = verdict.violations
    .slice(0, 200)
    .map(
      ({ guarantee, message, at }) =>
        `<li>${guarantee} ${at ? `+${((at - first) / 1_000).toFixed(2)} s ` : ''}${escape(message)}</li>`,
    );
  return `<!doctype html><meta charset="utf-8"><title>${title}</title>
<style>body{font:14px system-ui;margin:2em}svg text{font-size:11px}svg line{stroke:#ddd}table{border-collapse:collapse}
td{padding:2px 12px;border-bottom:1px solid #ddd}.bad{background:#fdd}</style>
<h1>${title}</h1><p>profile ${run.profile}, TTL ${run.ttlMs} ms, backplane ${run.backplane},
${((last - first) / 1_000).toFixed(0)} s. Hover over a bar for what it is.</p>
<p>${Object.entries(verdict.counters)
    .map(([name, value]) => `${name} <b>${value}</b>`)
    .join(' · ')}</p>
<svg width="${WIDTH}" height="${lanes.length * LANE + 4}">${rows.join('\n')}</svg>
<h2>bad / checked</h2><table>${findings.join('')}</table>
<h2>violations</h2><ol>${violations.join('')}</ol>`;
}

type Lane = readonly [string, readonly Mark[]];

function faultLanes(files: RunFiles, last: number): Lane[] {
  const byTarget = groupBy(faultsOf(files), ({ target }) => target);
  return [...byTarget].map(([target, faults]) => [
    `fault: ${target}`,
    faults.map(({ name, beginAt, endAt }) => {
      const to = Math.min(endAt, last);
      return { from: beginAt, to, colour: '#c0392b', title: `${name} for ${to - beginAt} ms` };
    }),
  ]);
}

function processLanes(files: RunFiles, last: number): Lane[] {
  const bySlot = groupBy(factsOf(files, 'process'), ({ slot }) => slot);
  return [...bySlot].map(([slot, facts]) => [
    slot,
    facts
      .filter(({ state }) => state === 'started')
      .map(({ at, instance, pid }) => {
        const exit = facts.find((fact) => fact.state === 'exited' && fact.instance === instance);
        const how = exit ? ` ended by ${exit.signal ?? exit.code}` : '';
        return { from: at, to: exit?.at ?? last, colour: '#7fb3d5', title: `${instance} pid ${pid}${how}` };
      }),
  ]);
}

function effectLanes(files: RunFiles): Lane[] {
  const colours: Record<string, string> = { once: '#8e44ad', idempotent: '#27ae60', read: '#95a5a6' };
  const byConversation = [...groupBy(files.effects, ({ conversation }) => conversation)].sort();
  return byConversation.map(([conversation, lines]) => {
    const ends = new Map(lines.filter(({ mark }) => mark === 'end').map(({ run, at }) => [run, at]));
    const marks = lines
      .filter(({ mark }) => mark !== 'end')
      .map(({ run, at, effect, op, step, token, mark }) => ({
        from: at,
        to: ends.get(run) ?? at,
        colour: mark === 'begin' ? (colours[effect] ?? '#000') : '#e67e22',
        title: `${mark === 'begin' ? '' : `${mark} `}${op} step ${step} (${effect}), token ${token}${ends.has(run) ? '' : ', cut off'}`,
      }));
    return [conversation.split(':').at(-1) ?? conversation, marks];
  });
}

function violationLane({ violations }: Verdict): Lane {
  const marks = violations.flatMap(({ at, guarantee, message }) =>
    at === undefined ? [] : [{ from: at, to: at, colour: '#ff0000', title: `${guarantee}: ${message}` }],
  );
  return ['violations', marks];
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
