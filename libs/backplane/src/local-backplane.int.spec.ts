import { LocalBackplane } from './local-backplane';
import { describeBackplane } from './testing';

let backplane: LocalBackplane;

beforeEach(() => {
  backplane = new LocalBackplane();
});

describeBackplane('LocalBackplane', () => ({
  open: () => Promise.resolve(backplane),
  maxPayloadBytes: Infinity,
}));
