# Sourced by the other scripts: finds what this project needs on a machine, installs what is missing
# where that is possible without asking (as root, with apt-get), and otherwise prints the line to run.
# Needs bash.

# The oldest PostgreSQL that is good enough.
required_postgresql_major=15

# Prints the folder with initdb, pg_ctl and postgres of a new enough PostgreSQL; false if there is none.
postgresql_bin() {
    local candidate real major
    for candidate in "$(command -v initdb || true)" \
        $(printf '%s\n' /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb \
            /usr/local/pgsql/bin/initdb |
            sort --version-sort --reverse); do
        [ -n "$candidate" ] && [ -x "$candidate" ] || continue
        # The command on the PATH may be a link to a folder of its own, beside the other two.
        real=$(readlink -f "$candidate")
        [ -x "${real%/*}/postgres" ] && [ -x "${real%/*}/pg_ctl" ] || continue
        major=$("$real" --version | sed -E 's/^[^0-9]*([0-9]+).*$/\1/')
        if [ "$major" -ge "$required_postgresql_major" ]; then
            printf '%s\n' "${real%/*}"
            return 0
        fi
    done
    return 1
}

# Prints the packages, in Debian's words, that this machine lacks for a build and for the tests.
missing_packages() {
    local header found
    found=
    for header in /usr/include/postgresql/libpq-fe.h /usr/include/libpq-fe.h \
        "$(pg_config --includedir 2>/dev/null || true)/libpq-fe.h"; do
        [ -e "$header" ] && found=yes
    done
    [ -n "$found" ] || echo libpq-dev

    found=
    for header in /usr/include/curl/curl.h /usr/include/*/curl/curl.h /usr/local/include/curl/curl.h; do
        [ -e "$header" ] && found=yes
    done
    [ -n "$found" ] || echo libcurl4-openssl-dev

    if ! postgresql_bin >/dev/null; then
        if apt-cache show "postgresql-$required_postgresql_major" >/dev/null 2>&1; then
            echo "postgresql-$required_postgresql_major"
        else
            # Another release of Debian or Ubuntu: its own PostgreSQL is a newer one.
            echo postgresql
        fi
    fi
}

# Prints the packages that only the tests need: a web server, its way to CGI programs, what runs the
# recipes of the documentation, and what reads the reports' journal.
missing_test_packages() {
    local path=/usr/sbin:/usr/bin:/bin:$PATH
    PATH=$path command -v nginx >/dev/null || echo nginx-light
    PATH=$path command -v fcgiwrap >/dev/null || echo fcgiwrap
    PATH=$path command -v node >/dev/null || echo nodejs
    PATH=$path command -v hledger >/dev/null || echo hledger
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

# Makes sure that everything is there, or ends the script with 69 and the line to run.
#
#   require_packages [the function that prints what is missing]
require_packages() {
    local missing list=${1:-missing_packages}
    missing=$("$list" | tr '\n' ' ')
    missing=${missing% }
    [ -n "$missing" ] || return 0

    local line="apt-get update && apt-get install --yes $missing"
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        [ "$(id -u)" -eq 0 ] || line="sudo apt-get update && sudo apt-get install --yes $missing"
        printf '%s\n' "missing: $missing" "on Debian or Ubuntu run: $line" >&2
        exit 69
    fi

    echo "installing $missing" >&2
    # Word splitting is meant: one package a word.
    # shellcheck disable=SC2086
    if ! { DEBIAN_FRONTEND=noninteractive apt-get update &&
        DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing; } \
        >&2; then
        echo "installing failed; run this by hand and read what it says: $line" >&2
        exit 69
    fi
    missing=$("$list" | tr '\n' ' ')
    if [ -n "${missing% }" ]; then
        echo "still missing after installing: $missing" >&2
        exit 69
    fi
}

# Makes sure that the tests have the libraries that they hold our signatures against: a Python
# environment of the project's own below .build, with the versions of Tests/Peers/requirements.txt.
require_peers() {
    local wanted=Tests/Peers/requirements.txt folder=.build/peers
    cmp --silent "$wanted" "$folder/installed.txt" && return 0
    echo "installing the libraries of $wanted into $folder" >&2
    if ! { python3 -m venv --clear "$folder" &&
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
            --requirement "$wanted"; } >&2; then
        echo "missing: the Python libraries of $wanted; install them with:" \
            "python3 -m venv $folder && $folder/bin/python -m pip install --requirement $wanted" >&2
        exit 69
    fi
    cp "$wanted" "$folder/installed.txt"
}
