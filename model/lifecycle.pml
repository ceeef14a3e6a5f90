/* One run's record: approvals, a workflow that is given up and lives on, its resume, and every activity twice or late.
 *
 * Workflow   orchestrators/rotation.py; each activity is one compare-and-set on the record (keyturn/runs/store.py Runs.update).
 * Late       any activity that a workflow of this run ever scheduled, executed once more at any time: a duplicate, a late one, one that
 *            the hub gave to another worker. A dying activity is one that is executed by its duplicate alone.
 * Resume     the workflow is taken for lost (it may live on): token + 1, back to the sweep, evidence void (keyturn/rotation/start.py).
 * Approver   decisions on the evidence that somebody once saw (keyturn/runs/decisions.py decide), by the requester or by another.
 * Tamper     somebody changes the evidence in the store after it was approved; the digest stays.
 * Left out   the vault's requests (versions.pml: here an activity that may change the version does so at once), rows (rows.pml), migrations.
 */
#define HOLDS(property, condition) assert(!(property) || (condition))
bool I5 = true, I8 = true, I9 = true, I14 = true;

#define SWEEPING 1
#define AWAITING 2
#define RETIRING 3
#define WATCHING 4
#define COMPLETED 5
#define REINSTATED 6
#define ABORTED 7
#define ENDED (state >= COMPLETED)

/* The record. */
byte state = SWEEPING, step = 1, token = 1;
byte evidence;                  /* number of the evidence in force; 0: none. Its digest is its number */
byte frozen;                    /* evidences frozen so far */
byte decided;                   /* number of the evidence that the decision in force approves; 0: none */
bool tampered;
byte old_token = 1;             /* as a lagging replica still shows it */
bool on = true;                 /* the old version is enabled */
byte began, withdrawn;          /* step at which the run began to retire last; no retirement of this step or before is in force */
#ifdef NO_STEP_IN_REINSTATE
#define IN_FORCE false
#else
#define IN_FORCE (state >= RETIRING && state <= COMPLETED && began > withdrawn)
#endif

/* What really happened. */
byte approved;                  /* bit n: the evidence n was approved by another than the requester, who saw it */

/* What workflows have scheduled, by token and step: the target of advance, the digest of retire_versions, reinstate_versions. */
#define STEPS 12
#define TOKENS 2
byte advances[24];
byte retires[24];
bool reinstates[24];
bool fails[3];
#define AT(t, k) (((t) - 1) * STEPS + (k))

#ifdef NO_TOKEN_CHECK
#define SAME_TOKEN(t) true
#else
#define SAME_TOKEN(t) (token == (t))
#endif
#ifdef NO_LIVE_CHECK
#define LIVE(t) SAME_TOKEN(t)
#else
#define LIVE(t) (SAME_TOKEN(t) && !ENDED)
#endif
#ifdef NO_STEP_CHECK
#define NEXT(k) (step + 1 >= (k))
#else
#define NEXT(k) (step + 1 == (k))
#endif

inline wrote(t) { HOLDS(I8, (t) == token); HOLDS(I14, !ENDED) }
inline void_evidence()
{
    evidence = 0; tampered = false;
#ifndef NO_VOID
    decided = 0
#else
    skip
#endif
}
#ifdef NO_VOID
#define APPROVED (decided != 0)
#define SAME_DIGEST(digest) true
#else
#define SAME_DIGEST(digest) (evidence == digest)
#define APPROVED (evidence != 0 && decided == evidence)
#endif

#ifdef NO_REHASH
#define SAME_HASH true
#else
#define SAME_HASH (!tampered)
#endif

/* keyturn/runs/transitions.py advance */
inline advance(t, k, target)
{
    if
    :: LIVE(t) && NEXT(k) && (target != RETIRING || APPROVED) ->
        wrote(t);
        HOLDS(I9, k == step + 1);
        if
        :: target == SWEEPING -> void_evidence()
        :: target == RETIRING -> began = k
        :: else
        fi;
        state = target; step = k; old_token = token
    :: else
    fi
}

/* keyturn/rotation/retirement.py retire_approved: the claim, with the evidence hashed again */
inline retire(t, k, digest)
{
    if
    :: LIVE(t) && state == RETIRING && step == k && APPROVED && SAME_DIGEST(digest) && SAME_HASH ->
        HOLDS(I8, t == token);
        HOLDS(I5, (approved & (1 << evidence)) != 0 && !tampered);
        on = false
    :: else
    fi
}

/* keyturn/rotation/retirement.py reinstate */
inline reinstate(t, k)
{
    if
    :: LIVE(t) ->
        wrote(t);
        if :: withdrawn < k -> withdrawn = k :: else fi;                    /* the record first */
        if :: !IN_FORCE -> on = true :: else fi
    :: else
    fi
}

/* keyturn/runs/transitions.py record_failure, and the reinstatement that comes before it */
inline fail(t)
{
    if
#ifdef NO_LIVE_CHECK
    :: SAME_TOKEN(t) -> wrote(t); on = true; state = REINSTATED; step++
#else
    :: LIVE(t) -> wrote(t); on = true; state = REINSTATED; step++
#endif
    :: else
    fi
}

inline schedule_advance(to)
{
    atomic {
        k++; advances[AT(me, k)] = to;
#ifdef NO_CONFIRM
        if
        :: old_token != me -> HOLDS(I9, token != me); goto refused
        :: skip
        fi;
#endif
        if
        :: LIVE(me) && NEXT(k) -> advance(me, k, to); if :: state == to :: else -> goto refused fi
        :: else -> if :: token == me && step == k && state == to :: else -> goto refused fi       /* a duplicate was quicker */
        fi
    }
}

proctype Workflow(byte me, k; bool resumed)
{
    byte digest;
    if
    :: resumed ->
        atomic { reinstates[AT(me, k)] = true }
        atomic { if :: LIVE(me) -> reinstate(me, k) :: else -> goto refused fi }
    :: else
    fi;
sweep:
    atomic {    /* freeze_evidence, after sweep, soak and verification */
        if
        :: LIVE(me) && state == SWEEPING && frozen < 3 -> wrote(me); frozen++; evidence = frozen; digest = frozen; tampered = false
        :: else -> goto refused
        fi
    }
    schedule_advance(AWAITING);
    if
    :: atomic { decided != 0 && evidence == digest && state == AWAITING && token == me }          /* read_decision */
    :: atomic { token != me || ENDED -> goto refused }
    :: goto abort
    fi;
    if
    :: k < 4 -> schedule_advance(SWEEPING); goto sweep          /* the final sweep found something new */
    :: skip
    fi;
    schedule_advance(RETIRING);
    atomic { retires[AT(me, k)] = digest; retire(me, k, digest); if :: on -> goto back :: else fi }
    schedule_advance(WATCHING);
    if
    :: schedule_advance(COMPLETED); goto message
    :: skip
    fi;
back:   /* a failed probe, an order, a count that is not zero: taken back, then the end */
    atomic { reinstates[AT(me, k)] = true }
    atomic { if :: LIVE(me) -> reinstate(me, k) :: else -> goto refused fi }
    schedule_advance(REINSTATED);
    goto over;
abort:
    schedule_advance(ABORTED);
    goto over;
message:    /* a message that fails after the end is a failure of the workflow */
    atomic { fails[me] = true }
refused:    /* FencedError: the workflow's failure path */
    atomic { fails[me] = true }
over:
    atomic { digest = 0; k = 0 }
}

active proctype Late()
{
    byte i, k;
    do
    :: atomic {
        if
        :: i = 1
        :: token == 2 -> i = 2
        fi;
        if
        :: fails[i] -> fail(i)
        :: select(k : 2 .. 11);
            if
            :: advances[AT(i, k)] -> advance(i, k, advances[AT(i, k)])
            :: retires[AT(i, k)] -> retire(i, k, retires[AT(i, k)])
            :: reinstates[AT(i, k)] -> reinstate(i, k)
            fi
        fi;
        i = 0; k = 0
    }
    od
}

active proctype Resume()
{
    if
    :: atomic {
        !ENDED -> old_token = token; token++; step++; state = SWEEPING; void_evidence();
        run Workflow(2, step, true)
    }
    fi
}

active proctype Approver()
{
    byte seen, messages;
    do
    :: atomic { messages < 2 && evidence != 0 && state == AWAITING -> seen = evidence }
        atomic {
            if
            :: true ->                                                      /* another approves */
                if
#ifdef NO_DIGEST_CHECK
                :: state == AWAITING && decided == 0 -> decided = evidence; if :: evidence == seen -> approved = approved | (1 << seen) :: else fi
#else
                :: state == AWAITING && decided == 0 && evidence == seen -> decided = seen; approved = approved | (1 << seen)
#endif
                :: else
                fi
#ifdef NO_REQUESTER_CHECK
            :: state == AWAITING && decided == 0 && evidence == seen -> decided = seen
#endif
            fi;
            messages++; seen = 0
        }
    :: break
    od
}

active proctype Tamper()
{
    atomic { decided != 0 && evidence == decided -> tampered = true }
}

active proctype Monitor()
{
    atomic {
        ENDED ->
#ifdef REACH
        HOLDS(I14, !(state == COMPLETED && token == 2 && step > 7));
#endif
        HOLDS(I14, (state == COMPLETED) == !on)
    }
}

init { run Workflow(1, 1, false) }
