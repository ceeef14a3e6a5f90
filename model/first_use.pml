/* A new version comes into use: made disabled, backed up, enabled, and never against a run that came later.
 *
 * Use        activity create_version from its version on (keyturn/rotation/new_version.py, put_into_use): back the version up; look whether the run
 *            lives; fetch the version; where it was never in use, send one bounded request that enables it; then look at the records, and disable
 *            it again where a later run retires it. Two copies of each run's activity run at once; each may freeze anywhere, and may die.
 * Runs       the first run, its resume (token + 1: a new copy), and a second run. Where the first ended unfinished the second adopts its version;
 *            where it completed, the second makes its own and retires the first's, once what was asked of the vault before has arrived.
 * Left out   how the version is made once (creation.pml); a backup that was waived. A worker that freezes, sends and dies before it looks again may
 *            leave a retired version enabled, which the daily look for drift finds: FREEZE_AND_DIE.
 */
#define HOLDS(property, condition) assert(!(property) || (condition))
bool I4 = true, I5 = true, I14 = true;

bool made[2], backed[2], on[2], used[2];  /* by version; used: its tag says no longer that it waits for a backup */
bool retired;                   /* the first version, by the second run's record */
bool completed;                 /* the first run */
byte token = 1;                 /* of the first run */
byte holder;                    /* 0, 1; 2: nobody */
byte target[2];                 /* 1 + the version that the run rotates to */
byte hot;                       /* who has looked, and looks again before it may die, a bit each */
byte flight;                    /* requests to enable the first version whose sender died */

#define BIT(i) (1 << (i))
#define LIVE (holder == r && (r == 1 || token == with))

inline enable(version) { on[version] = true; used[version] = true }

proctype Use(byte me, r, with)
{
    byte v;
    atomic {
        if
        :: r == 0 && !made[0] && !LIVE -> goto over
        :: r == 1 && (completed || !made[0]) -> v = 1
        :: else
        fi;
        made[v] = true;
#ifdef ENABLED_AT_ONCE
        enable(v)
#endif
    }
#ifndef NO_BACKUP
    if
    :: atomic { backed[v] = true }
    :: atomic { goto over }                                                 /* refused, or died: the next copy tries again */
    fi;
#endif
    atomic {
        if
        :: used[v] -> goto record
        :: !used[v]
        fi;
#ifndef NO_LOOK_BEFORE
        if
        :: !LIVE -> goto over
        :: LIVE
        fi;
#endif
        HOLDS(I14, LIVE);
        hot = hot | BIT(me)
    }
    if
    :: atomic { used[v] -> hot = hot & ~BIT(me); goto record }
    :: atomic { !used[v] }
    fi;
    if
    :: atomic { enable(v) }
#ifdef FREEZE_AND_DIE
    :: atomic { hot = hot & ~BIT(me); enable(v); goto over }
#endif
    :: atomic { LIVE && v == 0 -> hot = hot & ~BIT(me); flight++; goto over }  /* died: it arrives in its time, or never */
    :: atomic { LIVE -> hot = hot & ~BIT(me); goto over }                   /* died before */
    fi;
    atomic {
#ifndef NO_LOOK_AFTER
        if
        :: v == 0 && retired -> on[0] = false
        :: else
        fi;
#endif
        hot = hot & ~BIT(me)
    }
record:
    atomic { if :: on[v] && target[r] == 0 && LIVE -> target[r] = v + 1 :: else fi }
over:
    atomic { v = 0 }
}

active proctype Network()
{
    do
    :: atomic { flight > 0 -> flight--; if :: enable(0) :: skip fi }
    od
}

active proctype First()
{
    atomic { run Use(0, 0, 1); run Use(1, 0, 1) }
    if
    :: atomic { token = 2; run Use(2, 0, 2) }                               /* resumed */
    :: skip
    fi;
    if
    :: atomic { target[0] == 1 -> completed = true; holder = 2 }
    :: atomic { holder = 2 }                                                /* ended, unfinished */
    fi
}

active proctype Second()
{
    atomic { holder == 2 -> holder = 1; run Use(3, 1, 1); run Use(4, 1, 1) }
#ifdef NO_SETTLE
    atomic { target[1] == 2 -> retired = true; on[0] = false }
#else
    atomic { target[1] == 2 && flight == 0 -> retired = true; on[0] = false }
#endif
}

active proctype Monitor()
{
    if
    :: atomic { (on[0] && !backed[0]) || (on[1] && !backed[1]) -> HOLDS(I4, false) }
    :: atomic { retired && on[0] && hot == 0 -> HOLDS(I5, false) }
#ifdef REACH
    :: atomic { retired && on[0] && hot != 0 -> HOLDS(I14, false) }         /* a late request, which is taken back */
#endif
    fi
}
