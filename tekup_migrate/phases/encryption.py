"""Proving that an app's encryption keys keep their values, without ever keeping the values."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from tekup_migrate.apps.encryption import (
    KeyFingerprint,
    compare_keys,
    fingerprint_keys,
    new_fingerprint_key,
)
from tekup_migrate.phases.env import env_values
from tekup_migrate.phases.observation import Observation
from tekup_migrate.plan import App, Encryption, Phase, Plan
from tekup_migrate.steps import Context, Evidence, Verdict


class _Noted(Struct, frozen=True):
    """The fingerprints of the first look, and the run's own key that they were made with."""

    run_key: bytes
    fingerprints: tuple[KeyFingerprint, ...]


class _KeysStep(Observation):
    """A step about the encryption keys of one app."""

    why = "With another key the encrypted columns are lost for good: it is noted before and compared after."

    def __init__(self, plan: Plan, phase: Phase, *, name: str, title: str) -> None:
        super().__init__(id=f"{phase.id}.{name}", phase=phase.id, title=title.format(plan.apps[phase.app].title))
        self.app_id = phase.app

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the keys."""
        trait = self.trait(context)
        return tuple(f"{trait.file}: a salted fingerprint of {key}; the value is not kept" for key in trait.keys)

    def target(self, context: Context) -> str:
        """Return the env file."""
        return str(self.app(context).directory / self.trait(context).file)

    def app(self, context: Context) -> App:
        """Return the app."""
        return context.plan.apps[self.app_id]

    def trait(self, context: Context) -> Encryption:
        """Return the app's trait."""
        trait = self.app(context).encryption
        if trait is None:
            raise ValueError(f"{self.app_id} has no encryption trait")
        return trait

    async def verify(self, context: Context) -> Evidence:
        """Compare the keys with what was noted of them."""
        kept = context.memory.recall(self.note)
        if kept is None:
            return Evidence(verdict=Verdict.UNVERIFIED, summary="no fingerprints were taken before")
        noted = msgspec.msgpack.decode(kept, type=_Noted)
        found = compare_keys(noted.fingerprints, self.fingerprints(context, noted.run_key))
        wrong = {
            "changed": found.changed,
            "missing": found.missing,
            "was not there before": found.appeared,
            "not set, now as before": found.unset,
        }
        facts = [f"{file}: {key} unchanged" for file, key in found.same]
        facts += [f"{file}: {key} {word}" for word, keys in wrong.items() for file, key in keys]
        verdict = Verdict.DIFFERS if not found.kept else Verdict.UNVERIFIED if found.unset else Verdict.PASSED
        return Evidence(
            verdict=verdict,
            summary=f"{len(found.same)} of {len(noted.fingerprints)} keys unchanged",
            facts=tuple(facts),
        )

    @property
    def note(self) -> str:
        """Where the fingerprints are remembered."""
        return f"encryption:{self.app_id}"

    def fingerprints(self, context: Context, run_key: bytes) -> tuple[KeyFingerprint, ...]:
        """Take the fingerprints of the keys as they are now."""
        trait = self.trait(context)
        return fingerprint_keys(trait.file, env_values(self.app(context), trait.file), trait.keys, run_key=run_key)


class NoteKeys(_KeysStep):
    """Notes fingerprints of the encryption keys before anything about the app is changed."""

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(plan, phase, name="keys", title="Note the encryption keys of {}")

    async def apply(self, context: Context) -> None:
        """Take the fingerprints, once: those of the first time are what counts."""
        if context.memory.recall(self.note) is None:
            run_key = new_fingerprint_key()
            noted = _Noted(run_key, self.fingerprints(context, run_key))
            context.memory.remember(self.note, msgspec.msgpack.encode(noted))

    def forget(self, context: Context) -> None:
        """Forget the fingerprints: everything about the app is as it was before them."""
        context.memory.forget(self.note)


class KeysKept(_KeysStep):
    """Compares the encryption keys with their fingerprints from before."""

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(plan, phase, name="encryption", title="Prove that the encryption keys of {} are kept")
