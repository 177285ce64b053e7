#include "emulator/sandboxes/base_template_files.h"

namespace emulator::sandboxes {
namespace {

constexpr Directory kRootDirectories[] = {
    {"boot"},
    {"code", 0777},
    {"dev"},
    {"etc"},
    {"etc/apt"},
    {"etc/apt/apt.conf.d"},
    {"etc/apt/auth.conf.d"},
    {"etc/apt/keyrings"},
    {"etc/apt/preferences.d"},
    {"etc/apt/sources.list.d"},
    {"etc/apt/trusted.gpg.d"},
    {"etc/bash_completion.d"},
    {"etc/ca-certificates"},
    {"etc/ca-certificates/update.d"},
    {"etc/cron.d"},
    {"etc/cron.daily"},
    {"etc/cron.weekly"},
    {"etc/default"},
    {"etc/init.d"},
    {"etc/logrotate.d"},
    {"etc/opt"},
    {"etc/pam.d"},
    {"etc/profile.d"},
    {"etc/rc0.d"},
    {"etc/rc1.d"},
    {"etc/rc2.d"},
    {"etc/rc3.d"},
    {"etc/rc4.d"},
    {"etc/rc5.d"},
    {"etc/rc6.d"},
    {"etc/rcS.d"},
    {"etc/security"},
    {"etc/security/limits.d"},
    {"etc/security/namespace.d"},
    {"etc/skel"},
    {"etc/ssl"},
    {"etc/ssl/certs"},
    {"etc/ssl/private", 0710},
    {"etc/sudoers.d"},
    {"etc/sysctl.d"},
    {"etc/systemd"},
    {"etc/systemd/system"},
    {"home"},
    {"home/user", 0755, 1000, 1000},
    {"media"},
    {"mnt"},
    {"opt"},
    {"proc"},
    {"root", 0700},
    {"run"},
    {"srv"},
    {"sys"},
    {"tmp", 01777},
    {"var"},
    {"var/backups"},
    {"var/cache"},
    {"var/cache/apt"},
    {"var/cache/apt/archives"},
    {"var/cache/apt/archives/partial", 0700},
    {"var/cache/debconf"},
    {"var/cache/ldconfig", 0700},
    {"var/lib"},
    {"var/lib/apt"},
    {"var/lib/apt/lists"},
    {"var/lib/apt/lists/partial", 0700},
    {"var/lib/apt/mirrors"},
    {"var/lib/apt/mirrors/partial"},
    {"var/lib/apt/periodic"},
    {"var/lib/dpkg"},
    {"var/lib/dpkg/alternatives"},
    {"var/lib/dpkg/info"},
    {"var/lib/dpkg/parts"},
    {"var/lib/dpkg/triggers"},
    {"var/lib/dpkg/updates"},
    {"var/lib/git", 0755, 0, 0},
    {"var/lib/misc"},
    {"var/lib/pam"},
    {"var/lib/private", 0700},
    {"var/lib/python"},
    {"var/lib/sudo", 0700},
    {"var/lib/sudo/lectured", 0700},
    {"var/lib/systemd"},
    {"var/lib/ucf"},
    {"var/local", 02775, 0, 50},
    {"var/log"},
    {"var/log/apt"},
    {"var/mail", 02775, 0, 8},
    {"var/opt"},
    {"var/spool"},
    {"var/spool/cron"},
    {"var/tmp", 01777},
};

constexpr Link kRootLinks[] = {
    {"etc/mtab", "../proc/self/mounts"}, {"etc/os-release", "../usr/lib/os-release"},
    {"var/lock", "/run/lock"},           {"var/run", "/run"},
    {"var/spool/mail", "../mail"},
};

// The Debian skeleton's names (contract-envd 5.4), our own short texts.
constexpr std::string_view kBashrc = R"sh(# ~/.bashrc: read by interactive shells.
case $- in
    *i*) ;;
      *) return ;;
esac

HISTCONTROL=ignoreboth
HISTSIZE=1000
HISTFILESIZE=2000
shopt -s histappend checkwinsize

case "$TERM" in
    xterm-color|*-256color)
        PS1='\[\033[01;32m\]\u@\h\[\033[00m\]:\[\033[01;34m\]\w\[\033[00m\]\$ ' ;;
    *)
        PS1='\u@\h:\w\$ ' ;;
esac

if [ -x /usr/bin/dircolors ]; then
    eval "$(dircolors -b)"
    alias ls='ls --color=auto'
fi
if [ -f ~/.bash_aliases ]; then
    . ~/.bash_aliases
fi
if ! shopt -oq posix && [ -f /usr/share/bash-completion/bash_completion ]; then
    . /usr/share/bash-completion/bash_completion
fi
)sh";

constexpr std::string_view kUserProfile = R"(# ~/.profile: read by login shells.
if [ -n "$BASH_VERSION" ] && [ -f "$HOME/.bashrc" ]; then
    . "$HOME/.bashrc"
fi
if [ -d "$HOME/bin" ]; then
    PATH="$HOME/bin:$PATH"
fi
if [ -d "$HOME/.local/bin" ]; then
    PATH="$HOME/.local/bin:$PATH"
fi
)";

constexpr std::string_view kBashLogout = R"(# ~/.bash_logout: read when a login shell ends.
if [ "$SHLVL" = 1 ] && [ -x /usr/bin/clear_console ]; then
    /usr/bin/clear_console -q
fi
)";

constexpr std::string_view kRootProfile = R"(# ~/.profile: read by login shells.
if [ -n "$BASH_VERSION" ] && [ -f ~/.bashrc ]; then
    . ~/.bashrc
fi
mesg n 2> /dev/null || true
)";

constexpr std::string_view kRootBashrc = R"(# ~/.bashrc: read by interactive shells.
)";

// The last lines are the cloud's (contract-envd 5.1).
constexpr std::string_view kProfile = R"sh(# /etc/profile: read by login shells.
if [ "$(id -u)" -eq 0 ]; then
    PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
else
    PATH="/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"
fi
export PATH

if [ -n "${PS1-}" ] && [ -n "${BASH-}" ] && [ "$BASH" != "/bin/sh" ] && [ -f /etc/bash.bashrc ]; then
    . /etc/bash.bashrc
fi

for script in /etc/profile.d/*.sh; do
    if [ -r "$script" ]; then
        . "$script"
    fi
done
unset script

export PS1='\w \$ '
if [ -f ~/.bashrc ]; then . ~/.bashrc; fi
if [ -f ~/.profile ]; then . ~/.profile; fi
)sh";

constexpr std::string_view kBashBashrc = R"(# /etc/bash.bashrc: read by interactive shells.
[ -z "${PS1-}" ] && return
shopt -s checkwinsize
PS1='\u@\h:\w\$ '
)";

constexpr std::string_view kHosts = R"(127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
fe00:: ip6-localnet
ff00:: ip6-mcastprefix
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
127.0.1.1 e2b.local
192.0.2.1 events.e2b.local
)";

constexpr std::string_view kNsswitch = R"(passwd:     files
group:      files
shadow:     files
gshadow:    files
hosts:      files dns
networks:   files
protocols:  files
services:   files
ethers:     files
rpc:        files
netgroup:   files
)";

// No use_pty: a sudo without a terminal of its own costs one process less.
constexpr std::string_view kSudoers = R"(Defaults env_reset
Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
root ALL=(ALL:ALL) ALL
%sudo ALL=(ALL:ALL) ALL
user ALL=(ALL:ALL) NOPASSWD: ALL
@includedir /etc/sudoers.d
)";

// PAM: our own, so that a directory service or a second factor of the machine does not reach into
// the sandbox.
constexpr std::string_view kPamAuth = R"(auth sufficient pam_unix.so nullok
auth requisite pam_deny.so
auth required pam_permit.so
)";
constexpr std::string_view kPamAccount = R"(account required pam_unix.so
account required pam_permit.so
)";
constexpr std::string_view kPamPassword = R"(password required pam_unix.so nullok yescrypt
password required pam_permit.so
)";
constexpr std::string_view kPamSession = R"(session required pam_unix.so
session required pam_permit.so
)";
// Without pam_unix: it would write a line to the system log for every sudo.
constexpr std::string_view kPamQuietSession = R"(session required pam_permit.so
)";
constexpr std::string_view kPamSudo = R"(#%PAM-1.0
@include common-auth
@include common-account
@include common-session-noninteractive
)";
constexpr std::string_view kPamSu = R"(auth sufficient pam_rootok.so
session required pam_env.so readenv=1
@include common-auth
@include common-account
@include common-session
)";
constexpr std::string_view kPamLogin = R"(@include common-auth
@include common-account
@include common-session
@include common-password
)";
constexpr std::string_view kPamPasswd = R"(@include common-password
)";
constexpr std::string_view kPamRootOnly = R"(auth sufficient pam_rootok.so
@include common-auth
@include common-account
@include common-session
)";
constexpr std::string_view kPamRunuser = R"(auth sufficient pam_rootok.so
session required pam_permit.so
)";

constexpr TextFile kRootFiles[] = {
    {"etc/bash.bashrc", kBashBashrc},
    {"etc/default/locale", "LANG=C.UTF-8\n"},
    {"etc/default/useradd", "SHELL=/bin/bash\n"},
    {"etc/environment", ""},
    {"etc/fstab", "# Nothing is mounted from here.\n"},
    {"etc/host.conf", "multi on\n"},
    {"etc/hostname", "e2b.local\n"},
    {"etc/hosts", kHosts},
    // `npm install -g` without sudo: /usr/local is everybody's (contract-envd 5.4).
    {"etc/npmrc", "prefix=/usr/local\n"},
    {"etc/nsswitch.conf", kNsswitch},
    {"etc/pam.conf", "# Unused: see /etc/pam.d.\n"},
    {"etc/pam.d/chfn", kPamRootOnly},
    {"etc/pam.d/chpasswd", kPamPasswd},
    {"etc/pam.d/chsh", kPamRootOnly},
    {"etc/pam.d/common-account", kPamAccount},
    {"etc/pam.d/common-auth", kPamAuth},
    {"etc/pam.d/common-password", kPamPassword},
    {"etc/pam.d/common-session", kPamSession},
    {"etc/pam.d/common-session-noninteractive", kPamQuietSession},
    {"etc/pam.d/login", kPamLogin},
    {"etc/pam.d/newusers", kPamPasswd},
    {"etc/pam.d/other", kPamLogin},
    {"etc/pam.d/passwd", kPamPasswd},
    {"etc/pam.d/runuser", kPamRunuser},
    {"etc/pam.d/runuser-l", kPamRunuser},
    {"etc/pam.d/su", kPamSu},
    {"etc/pam.d/su-l", kPamSu},
    {"etc/pam.d/sudo", kPamSudo},
    {"etc/pam.d/sudo-i", kPamSudo},
    {"etc/profile", kProfile},
    {"etc/profile.d/shell.sh", "export SHELL=/bin/bash\n"},
    {"etc/resolv.conf", "nameserver 8.8.8.8\n"},
    {"etc/security/access.conf", ""},
    {"etc/security/faillock.conf", ""},
    {"etc/security/group.conf", ""},
    {"etc/security/limits.conf", ""},
    {"etc/security/namespace.conf", ""},
    {"etc/security/pam_env.conf", ""},
    {"etc/security/time.conf", ""},
    {"etc/skel/.bash_logout", kBashLogout},
    {"etc/skel/.bashrc", kBashrc},
    {"etc/skel/.profile", kUserProfile},
    {"etc/subgid", ""},
    {"etc/subuid", ""},
    {"etc/sudoers", kSudoers, 0440},
    {"etc/sysctl.conf", ""},
    {"home/user/.bash_logout", kBashLogout, 0644, 1000},
    {"home/user/.bashrc", kBashrc, 0644, 1000},
    {"home/user/.profile", kUserProfile, 0644, 1000},
    {"root/.bashrc", kRootBashrc},
    {"root/.profile", kRootProfile},
    {"var/lib/dpkg/lock", "", 0640},
    {"var/lib/dpkg/lock-frontend", "", 0640},
    {"var/log/apt/history.log", ""},
    {"var/log/dpkg.log", ""},
};

// /usr/local and /usr/etc are opaque: nothing of what the machine's owner put there shows.
constexpr Directory kUsrDirectories[] = {
    {"bin"},
    {"etc"},
    {"local", 0777},
    {"local/bin", 0777},
    {"local/etc", 0777},
    {"local/games", 0777},
    {"local/include", 0777},
    {"local/lib", 0777},
    {"local/sbin", 0777},
    {"local/share", 0777},
    {"local/share/ca-certificates", 0777},
    {"local/share/man", 0777},
    {"local/src", 0777},
    {"sbin"},
};

constexpr TextFile kUsrFiles[] = {
    {"etc/npmrc", "prefix=/usr/local\n"},
    // Packages must not start their daemons: nobody here is an init system that could.
    {"sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0755},
};

}  // namespace

std::span<const Directory> root_directories() {
  return kRootDirectories;
}
std::span<const TextFile> root_files() {
  return kRootFiles;
}
std::span<const Link> root_links() {
  return kRootLinks;
}
std::span<const Directory> usr_directories() {
  return kUsrDirectories;
}
std::span<const TextFile> usr_files() {
  return kUsrFiles;
}

}  // namespace emulator::sandboxes
